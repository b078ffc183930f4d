"""The Dockerfile: reads it, checks it, and runs a target's steps and entry point without a container engine.

Each stage gets a folder in place of its file system: WORKDIR and COPY work inside it, RUN runs there with this machine's tools in place of the base
image's. That is why RUN lines must keep to relative paths.
"""
import fnmatch
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class Problem(Exception):
    """What is wrong, in one line."""


@dataclass
class Stage:
    name: str
    base: str
    steps: list = field(default_factory=list)  # (instruction, rest)
    env: dict = field(default_factory=dict)
    workdir: str = "/"


def read_dockerfile(text: str) -> list[Stage]:
    """Stages in order; comments gone, continued lines joined."""
    lines, pending = [], ""
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        pending += line.rstrip("\\") if line.endswith("\\") else line
        if not line.endswith("\\"):
            if pending.strip():
                lines.append(pending.strip())
            pending = ""
    stages: list[Stage] = []
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "FROM":
            match = re.fullmatch(r"(\S+) AS ([a-z][a-z0-9-]*)", rest)
            if not match:
                raise Problem(f"Dockerfile: expected FROM IMAGE AS NAME, found {line!r}")
            stages.append(Stage(match[2], match[1]))
        elif word in {"RUN", "COPY", "WORKDIR", "ENV", "ARG", "USER", "EXPOSE", "ENTRYPOINT"} and stages:
            stages[-1].steps.append((word, rest.strip()))
        else:
            raise Problem(f"Dockerfile: {word} is not an instruction that this check knows")
    return stages


def check_image(image: str, where: str) -> None:
    """An image must name a version: no tag at all means latest."""
    tag = image.rpartition("/")[2].partition(":")[2]
    if not re.search(r"\d+\.\d+", tag):
        raise Problem(f"{where}: expected an image with a version as its tag, found {image!r}")


def check_dockerfile(stages: list[Stage]) -> None:
    names: list[str] = []
    for stage in stages:
        if stage.base not in names:
            check_image(stage.base, f"Dockerfile: {stage.name}")
        for word, rest in stage.steps:
            if word == "COPY":
                source = re.match(r"--from=(\S+) ", rest)
                if source and source[1] not in names:
                    raise Problem(f"Dockerfile: {stage.name}: COPY --from={source[1]} names no stage before it")
                if not source:
                    missing = [path for path in rest.split()[:-1] if not (ROOT / path).exists()]
                    if missing:
                        raise Problem(f"Dockerfile: {stage.name}: COPY of {missing}, which the repository does not have")
            if word == "RUN":
                subprocess.run(["bash", "-n", "-c", rest], check=True)
        names.append(stage.name)
    for target in ("cpu", "cuda", "load"):
        stage = next((s for s in stages if s.name == target), None)
        if stage is None:
            raise Problem(f"Dockerfile: target {target} is missing")
        words = dict(stage.steps)
        if words.get("USER") in (None, "0", "root"):
            raise Problem(f"Dockerfile: {target} runs as root")
        json.loads(words["ENTRYPOINT"])
    if stages[-1].name != "cpu":
        raise Problem(f"Dockerfile: expected cpu last, as the default, found {stages[-1].name}")


def ignored(path: str, patterns: list[str]) -> bool:
    """.dockerignore, as far as ours goes: names of top folders and **/name."""
    parts = path.split("/")
    return any(fnmatch.fnmatch(parts[0], p) or (p.startswith("**/") and any(fnmatch.fnmatch(part, p[3:]) for part in parts)) for p in patterns)


def context_files() -> list[str]:
    """What `docker build` would send: the files that git knows or would add, without what .dockerignore names."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "-z"], check=True, capture_output=True, text=True).stdout
    patterns = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    return [path for path in listed.split("\0") if path and not ignored(path, patterns) and (ROOT / path).is_file()]


class Builder:
    """Runs stages in folders."""

    def __init__(self, work: Path, stages: list[Stage]):
        self.work, self.stages, self.built = work, {s.name: s for s in stages}, {}

    def build(self, name: str) -> tuple[Path, Stage]:
        """Builds a stage and those that it needs; returns its folder."""
        if name in self.built:
            return self.built[name], self.stages[name]
        stage, root = self.stages[name], self.work / name
        if stage.base in self.stages:
            base_root, base = self.build(stage.base)
            shutil.copytree(base_root, root, symlinks=True)
            stage.env, stage.workdir = {**base.env, **stage.env}, base.workdir
        else:
            root.mkdir()
        for word, rest in stage.steps:
            getattr(self, f"do_{word.lower()}", lambda *_: None)(stage, root, rest)
        self.built[name] = root
        return root, stage

    def do_workdir(self, stage, root, rest):
        stage.workdir = rest
        self.inside(stage, root).mkdir(parents=True, exist_ok=True)

    def do_env(self, stage, root, rest):
        stage.env.update(pair.split("=", 1) for pair in shlex.split(rest))

    def do_arg(self, stage, root, rest):
        stage.env.update([rest.split("=", 1)])

    def do_copy(self, stage, root, rest):
        words = rest.split()
        target = words[-1]
        into = (root / target.lstrip("/")) if target.startswith("/") else self.inside(stage, root) / target
        if words[0].startswith("--from="):
            source_root, _ = self.build(words[0][len("--from="):])
            for path in words[1:-1]:
                self.copy(source_root / path.lstrip("/") if path.startswith("/") else source_root / path, into, target)
            return
        for path in context_files():
            if words[:-1] == ["."] or path in words[:-1]:
                place = into / (path if words[:-1] == ["."] else Path(path).name)
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / path, place)

    @staticmethod
    def copy(source: Path, into: Path, target: str) -> None:
        if source.is_dir():
            shutil.copytree(source, into, dirs_exist_ok=True, symlinks=True)
        else:
            place = into / source.name if target.endswith(("/", ".")) else into
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place)

    def do_run(self, stage, root, rest):
        print(f"-- {stage.name}: RUN {rest}", flush=True)
        done = subprocess.run(["bash", "-eo", "pipefail", "-c", rest], cwd=self.inside(stage, root), env={**os.environ, **stage.env},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            print(done.stdout[-4000:])
            raise Problem(f"Dockerfile: {stage.name}: RUN {rest} ended with {done.returncode}")

    @staticmethod
    def inside(stage, root) -> Path:
        return root / stage.workdir.lstrip("/")


def start_and_ask(root: Path, stage: Stage, environment: dict) -> None:
    """Starts the image's entry point with its environment and sends it the request that it prints for its user."""
    entry = json.loads(dict(stage.steps)["ENTRYPOINT"])
    env = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **{k: v for k, v in os.environ.items() if k.startswith("DOTNET_ROOT")}, **stage.env, **environment}
    log = root / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen([*entry, "--Server:RestPort", "0", "--Server:GrpcPort", "0"], cwd=Builder.inside(stage, root), env=env, stdout=out, stderr=out)
    try:
        rest = wait_for_address(process, log)
        body = re.search(r"^ +-d '(.*)'$", log.read_text(), re.M)[1]
        request = urllib.request.Request(f"{rest}/v1/chat/completions", body.encode(), {"Content-Type": "application/json"})
        message = json.load(urllib.request.urlopen(request, timeout=60))["choices"][0]["message"]
        if not message["content"] or not message["latent_reasoning"]["spans"]:
            raise Problem(f"the image answered {message}")
        if b"<title>Tessera</title>" not in urllib.request.urlopen(f"{rest}/", timeout=60).read():
            raise Problem("the image does not serve the page")
    finally:
        process.send_signal(signal.SIGTERM)
        code = process.wait(timeout=120)
    if code:
        raise Problem(f"the image ended with {code}: {log.read_text()[-2000:]}")


def wait_for_address(process, log: Path) -> str:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        found = re.search(r"^listening rest=(\S+)", log.read_text(), re.M)
        if found:
            return found[1]
        if process.poll() is not None:
            break
        time.sleep(0.2)
    raise Problem(f"the image does not start: {log.read_text()[-2000:]}")


def check_native_runtime(root: Path, stage: Stage) -> None:
    """One native library beside the program, and nothing of the build's folders."""
    app = Builder.inside(stage, root)
    if not (app / "libonnxruntime.so.1").is_file() or (app / "node_modules").exists():
        raise Problem("the image lacks libonnxruntime.so.1 beside the program, or has more than it")
