"""Keys-Finding Maze: walk through 3x3 rooms to a goal, past coloured doors that need their key; one key can be carried at a time.

There is no public generator; this one follows the published description. Six rooms, three by two, have 9x6 cells, and a cell is named by its column and row, both from
1, "34" being column 3 of row 4. Doors are in the middle of shared walls, and some are locked with a colour whose key lies where it can be reached before. A prompt
lists the doors, each between two cells and open or of a colour, and where the keys are. The reasoning walks: each step names the next cell to get to (a key, a door or the goal),
then come the moves to it, one step each, and what is done there. The answer is the path alone: the cells, with `take` (drops what was carried) and `open` (the locked door
beside the cell, with the carried key; it stays open). It counts as feasible when `walk` reaches the goal; 1-Feasible-10 asks for one feasible answer in ten samples.
Print some: `python3 -m tessera_training.tasks --task maze`.
"""
from __future__ import annotations

import random
import re
from collections import deque
from dataclasses import dataclass, field, replace

from .common import Problem, Question

COLOURS = "red green blue yellow".split()
SIDE = 3  # cells of a room's side
MOVES = {"up": (0, 1), "down": (0, -1), "left": (-1, 0), "right": (1, 0)}
EXTRA_DOOR_RATE = 0.25
LOCK_RATE = 0.7
FAR_GOAL_RATE = 0.5  # of the goals: behind as many locked doors as there are
MAX_STEP_COUNT = 60

WORDS = "rooms by Doors Keys at open What path leads from to Head for Go up down left right Take Open take".split() + COLOURS

Cell = tuple[int, int]
Wall = frozenset  # of two neighbouring cells


@dataclass
class Maze:
    """Cells are (x, y); `doors` maps the two cells beside a door to its colour (None: open)."""

    columns: int
    rows: int
    start: Cell
    goal: Cell
    doors: dict[Wall, str | None] = field(default_factory=dict)
    keys: dict[str, Cell] = field(default_factory=dict)

    def inside(self, cell: Cell) -> bool:
        return 0 <= cell[0] < SIDE * self.columns and 0 <= cell[1] < SIDE * self.rows

    def passable(self, a: Cell, b: Cell, opened: set[Wall]) -> bool:
        """Whether one step leads from a to b with these doors opened."""
        if not self.inside(b):
            return False
        if room_of(a) == room_of(b):
            return True
        wall = frozenset((a, b))
        return wall in self.doors and (self.doors[wall] is None or wall in opened)


def name_of(cell: Cell) -> str:
    """Column and row, both from 1."""
    return f"{cell[0] + 1}{cell[1] + 1}"


def cell_of(name: str) -> Cell:
    return int(name[0]) - 1, int(name[1]) - 1


def room_of(cell: Cell) -> Cell:
    return cell[0] // SIDE, cell[1] // SIDE


def neighbours(cell: Cell) -> list[tuple[str, Cell]]:
    return [(name, (cell[0] + dx, cell[1] + dy)) for name, (dx, dy) in MOVES.items()]


def door_between(a: Cell, b: Cell) -> Wall:
    """The two cells in the middle of the wall between neighbouring rooms a and b."""
    def middle(room: Cell, other: Cell) -> Cell:
        return SIDE * room[0] + 1 + other[0] - room[0], SIDE * room[1] + 1 + other[1] - room[1]

    return frozenset((middle(a, b), middle(b, a)))


def shortest(maze: Maze, start: Cell, goal: Cell, opened: set[Wall]) -> list[str] | None:
    """Moves of a shortest way, None when there is none."""
    came: dict[Cell, tuple[Cell, str]] = {start: (start, "")}
    queue = deque([start])
    while queue:
        cell = queue.popleft()
        if cell == goal:
            moves = []
            while cell != start:
                cell, move = came[cell]
                moves.append(move)
            return moves[::-1]
        for move, after in neighbours(cell):
            if after not in came and maze.passable(cell, after, opened):
                came[after] = (cell, move)
                queue.append(after)
    return None


def make_maze(rng: random.Random, columns: int, rows: int) -> Maze:
    """Rooms are joined one after the other; a locked door's key lies in a room that was joined before, so every maze can be solved."""
    rooms = [(x, y) for x in range(columns) for y in range(rows)]
    cells = {room: [(SIDE * room[0] + dx, SIDE * room[1] + dy) for dx in range(SIDE) for dy in range(SIDE)] for room in rooms}
    first = rng.choice(rooms)
    maze = Maze(columns, rows, rng.choice(cells[first]), (0, 0))
    joined, used = [first], {maze.start}
    colours = rng.sample(COLOURS, len(COLOURS))
    while len(joined) < len(rooms):
        room, other = rng.choice([(a, b) for a in joined for _, b in neighbours(a) if b in cells and b not in joined])
        colour = colours.pop() if colours and rng.random() < LOCK_RATE else None
        maze.doors[door_between(room, other)] = colour
        if colour:
            place = rng.choice([cell for known in joined for cell in cells[known] if cell not in used])
            maze.keys[colour] = place
            used.add(place)
        joined.append(other)
    for room in rooms:
        for _, other in neighbours(room):
            wall = door_between(room, other)
            if other in cells and room < other and wall not in maze.doors and rng.random() < EXTRA_DOOR_RATE:
                maze.doors[wall] = rng.choice(list(maze.keys)) if maze.keys and rng.random() < LOCK_RATE else None
    goals = [cell for room in rooms if room != first for cell in cells[room] if cell not in used]
    if rng.random() < FAR_GOAL_RATE:
        doors = {goal: _locked_doors_left(replace(maze, goal=goal), set()) for goal in goals}
        goals = [goal for goal in goals if doors[goal] == max(doors.values())]
    maze.goal = rng.choice(goals)
    return maze


class Trace:
    """The reasoning steps and the path of one walk, written while it is walked."""

    def __init__(self, cell: Cell) -> None:
        self.cell, self.steps, self.path = cell, [], []

    def head(self, target: Cell) -> None:
        """Names the next cell to get to, and goes there; it is in the same room."""
        if target != self.cell:
            self.steps.append(f" Head for {name_of(target)}.")
        while target[0] != self.cell[0]:
            self.move("right" if target[0] > self.cell[0] else "left")
        while target[1] != self.cell[1]:
            self.move("up" if target[1] > self.cell[1] else "down")

    def move(self, direction: str) -> None:
        after = self.cell[0] + MOVES[direction][0], self.cell[1] + MOVES[direction][1]
        self.steps.append(f" Go {direction} from {name_of(self.cell)} to {name_of(after)}.")
        self.path.append(name_of(after))
        self.cell = after

    def follow(self, way: list[str]) -> None:
        """The same way as `way` by its doors, and to its end: between them every room is crossed sideways first."""
        cell = self.cell
        for direction in way:
            after = cell[0] + MOVES[direction][0], cell[1] + MOVES[direction][1]
            if room_of(after) != room_of(cell):
                self.head(cell)
                self.move(direction)
            cell = after
        self.head(cell)

    def act(self, action: str, colour: str) -> None:
        self.steps.append(f" {action.capitalize()} {colour}.")
        self.path.append(action)


def solve(maze: Maze) -> Trace:
    """A walk to the goal: of the locked doors that can be opened next, the one that leaves fewest locked doors before the goal,
    of these the nearest; until the goal can be reached. Doors stay open, so the walk always ends.
    """
    trace, carried, places, opened = Trace(maze.start), None, dict(maze.keys), set()
    while True:
        way = shortest(maze, trace.cell, maze.goal, opened)
        if way is not None:
            trace.follow(way)
            return trace
        _, _, wall, _, colour, to_key, to_door = min(_openings(maze, trace.cell, carried, places, opened))
        if colour != carried:
            trace.follow(to_key)
            trace.act("take", colour)
            place = places.pop(colour)
            if carried:
                places[carried] = place  # one key at a time: the other stays where this one lay
            carried = colour
        trace.follow(to_door)
        trace.act("open", colour)
        opened.add(frozenset(wall))


def _openings(maze: Maze, cell: Cell, carried: str | None, places: dict[str, Cell], opened: set[Wall]) -> list[tuple]:
    """Doors that can be opened next: (locked doors left before the goal, moves, door, cell before it, colour, way to key, way to door)."""
    found = []
    for wall, colour in maze.doors.items():
        if colour is None or wall in opened:
            continue
        key = cell if colour == carried else places[colour]
        to_key = shortest(maze, cell, key, opened)
        if to_key is None:
            continue
        left = _locked_doors_left(maze, opened | {wall})
        for before in sorted(wall):
            to_door = shortest(maze, key, before, opened)
            if to_door is not None:
                found.append((left, len(to_key) + len(to_door), sorted(wall), before, colour, to_key, to_door))
    return found


def _locked_doors_left(maze: Maze, opened: set[Wall]) -> int:
    """Fewest locked doors on a way from the start to the goal."""
    best, queue = {maze.start: 0}, deque([maze.start])
    while queue:
        cell = queue.popleft()
        for _, after in neighbours(cell):
            wall = frozenset((cell, after))
            if not maze.inside(after) or (room_of(cell) != room_of(after) and wall not in maze.doors):
                continue
            locked = room_of(cell) != room_of(after) and maze.doors[wall] is not None and wall not in opened
            cost = best[cell] + locked
            if cost < best.get(after, 1 << 30):
                best[after] = cost
                queue.appendleft(after) if not locked else queue.append(after)
    return best[maze.goal]


def walk(maze: Maze, path: list[str]) -> bool:
    """Whether the cells and actions of a path are all possible and end at the goal."""
    cell, carried, opened = maze.start, None, set()
    places = dict(maze.keys)
    for word in path:
        if re.fullmatch("[1-9][1-9]", word):
            after = cell_of(word)
            if abs(after[0] - cell[0]) + abs(after[1] - cell[1]) != 1 or not maze.passable(cell, after, opened):
                return False
            cell = after
        elif word == "take":
            found = next((colour for colour, place in places.items() if place == cell), None)
            if found is None:
                return False
            if carried:
                places[carried] = cell
            del places[found]
            carried = found
        elif word == "open":
            beside = [wall for wall, colour in maze.doors.items() if cell in wall and colour == carried and wall not in opened]
            if not carried or not beside:
                return False
            opened.add(beside[0])
        else:
            return False
    return cell == maze.goal


def describe(rng: random.Random, maze: Maze) -> str:
    doors = []
    for wall, colour in maze.doors.items():
        ends = [name_of(cell) for cell in wall]
        rng.shuffle(ends)
        doors.append(f" {ends[0]} {colour or 'open'} {ends[1]}.")
    rng.shuffle(doors)
    keys = [f" {colour} at {name_of(place)}." for colour, place in maze.keys.items()]
    rng.shuffle(keys)
    return f"{maze.columns} by {maze.rows} rooms. Doors:{''.join(doors)}" + (f" Keys:{''.join(keys)}" if keys else "")


def read(prompt: str) -> Maze:
    """The maze that a prompt tells (for checking answers against the text alone)."""
    columns, rows = map(int, re.search(r"(\d) by (\d) rooms\.", prompt).groups())
    start, goal = re.search(r"from (\d\d) to (\d\d)\?", prompt).groups()
    maze = Maze(columns, rows, cell_of(start), cell_of(goal))
    for a, kind, b in re.findall(r" (\d\d) ([a-z]+) (\d\d)\.", prompt):
        maze.doors[frozenset((cell_of(a), cell_of(b)))] = None if kind == "open" else kind
    maze.keys = {colour: cell_of(place) for colour, place in re.findall(r" ([a-z]+) at (\d\d)\.", prompt)}
    return maze


def feasible(prompt: str, answer: str) -> bool:
    """Whether an answer's path leads to the goal of the prompt's maze."""
    return walk(read(prompt), answer.removesuffix(".").split())


def make_problem(rng: random.Random, question_count: int, easy: bool, columns: int | None = None, rows: int | None = None) -> Problem:
    """3 by 2 rooms (easy: 2 by 1, 1 by 2 or 2 by 2); every question starts elsewhere in the start's room. No walk has more than MAX_STEP_COUNT steps."""
    if easy:
        columns, rows = columns or rng.choice((1, 2)), rows or rng.choice((1, 2))
        if columns == rows == 1:
            columns = rows = 2
    maze = make_maze(rng, columns or 3, rows or 2)
    facts, questions, room = describe(rng, maze), [], room_of(maze.start)
    while len(questions) < question_count:
        trace = solve(maze)
        text = f" What path leads from {name_of(maze.start)} to {name_of(maze.goal)}?"
        if len(trace.steps) <= MAX_STEP_COUNT:
            questions.append(Question(text, tuple(trace.steps), " " + " ".join(trace.path) + ".", len(trace.steps)))
        maze.start = SIDE * room[0] + rng.randrange(SIDE), SIDE * room[1] + rng.randrange(SIDE)
        maze.goal = rng.choice([(x, y) for x in range(SIDE * maze.columns) for y in range(SIDE * maze.rows)
                                if (x, y) not in maze.keys.values() and (x, y) != maze.start])
    return Problem("maze", facts, tuple(questions))
