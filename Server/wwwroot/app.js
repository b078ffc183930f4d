// The page: reads the form, runs what it asks for, shows what comes back.
import { ApiError, chatBody, complete, curlLine, getJson, stream } from './api.js';
import { Lane } from './lane.js';
import { measuredPair } from './trace.js';
import { showPair } from './pair.js';
import * as format from './format.js';

const KEY = 'tessera-api-key';
const NO_LIMIT = 13;
const MODE_NOTES = {
  auto: 'The model chooses between latents and text.',
  latent: 'The model starts in latents; past the budget it goes on in text.',
  text: 'Plain chain of thought, every step spelled out: the baseline.',
  none: 'No reasoning: the answer alone.',
};

const $ = (id) => document.getElementById(id);
const page = { info: null, problems: [], running: null };

// ---- settings -------------------------------------------------------------------------------------------------------------

const mode = () => document.querySelector('input[name=mode]:checked').value;
const budget = () => (Number($('budget').value) >= NO_LIMIT ? null : Number($('budget').value));
const key = () => $('key').value.trim();
const numberOf = (id) => ($(id).value === '' ? null : Number($(id).value));

function bodyFor(chosenMode) {
  return chatBody({
    model: page.info?.model.name,
    prompt: $('prompt').value,
    mode: chosenMode,
    budget: budget(),
    maxTokens: numberOf('max-tokens'),
    temperature: numberOf('temperature'),
    seed: numberOf('seed'),
  });
}

function showDial() {
  $('mode-note').textContent = MODE_NOTES[mode()];
  const hasBudget = mode() === 'latent' || mode() === 'auto';
  $('budget-field').classList.toggle('off', !hasBudget);
  $('budget').disabled = !hasBudget;
  const shown = budget() === null ? 'no limit' : String(budget());
  $('budget-value').textContent = shown;
  $('budget').setAttribute('aria-valuetext', shown);
}

// ---- the model and its example problems ------------------------------------------------------------------------------------

async function connect() {
  try {
    page.info = await getJson('info', key());
    const { model } = page.info;
    $('model').textContent = `${model.name} ${model.version} · ${format.count(model.latent_count)} latents`;
    $('model').classList.remove('bad');
  } catch (error) {
    $('model').textContent = error.status === 401 ? 'This server asks for an API key.' : error.message;
    $('model').classList.add('bad');
    if (error.status === 401) $('key-field').open = true;
  }
}

/** Offers the problems of the tasks that the served model was measured on; all of them when it does not say. */
async function offerExamples() {
  const { tasks } = await getJson('page/examples.json');
  const measured = (page.info?.model.evaluation ?? []).map((row) => row.task);
  const shipped = tasks.filter((task) => measured.length === 0 || measured.some((name) => name.startsWith(task.id)));
  const offered = shipped.length > 0 ? shipped : tasks;
  page.problems = offered.flatMap((task) => task.problems.map((problem) => ({ ...problem, task })));
  const chosen = $('example').value;
  $('example').replaceChildren(...offered.map((task) => {
    const group = document.createElement('optgroup');
    group.label = task.title;
    group.append(...task.problems.map((problem) => new Option(problem.title, problem.id)));
    return group;
  }));
  if (page.problems.some((problem) => problem.id === chosen)) $('example').value = chosen;
  else showExample();
}

const problem = () => page.problems.find((p) => p.id === $('example').value);

function showExample() {
  $('prompt').value = problem()?.prompt ?? '';
  $('task').textContent = problem()?.task.about ?? '';
}

/** What the answer should be, as long as the prompt is the example's own. */
const expected = () => (problem()?.prompt === $('prompt').value ? problem().answer : null);

// ---- running -----------------------------------------------------------------------------------------------------------------

function begin(titles) {
  page.running = new AbortController();
  const kvBytes = page.info?.engine.kv_bytes_per_position ?? null;
  const lanes = titles.map((title) => new Lane(title, kvBytes));
  $('welcome').hidden = true;
  $('pair').hidden = true;
  $('lanes').replaceChildren(...lanes.map((lane) => lane.element));
  $('lanes').classList.toggle('two', lanes.length > 1);
  showRunning();
  say('Running.');
  // On a narrow screen the result lies below the form.
  if ($('result').getBoundingClientRect().top > innerHeight / 2) $('result').scrollIntoView();
  return lanes;
}

function end() {
  page.running = null;
  showRunning();
}

function showRunning() {
  const busy = page.running !== null;
  for (const id of ['run', 'compare']) $(id).disabled = busy;
  $('stop').disabled = !busy;
  document.body.classList.toggle('busy', busy);
}

const say = (text) => { $('status').textContent = text; };

/** Streams one answer into a lane; false when it was stopped or failed. */
async function runLane(lane, body) {
  lane.start();
  try {
    for await (const chunk of stream(body, key(), page.running.signal)) lane.add(chunk);
    lane.finish(expected());
    return true;
  } catch (error) {
    giveUp(lane, error);
    return false;
  }
}

function giveUp(lane, error) {
  if (error.name === 'AbortError') {
    lane.stopped();
    say('Stopped.');
    return;
  }
  if (error.status === 401) $('key-field').open = true;
  lane.fail(error instanceof ApiError ? error : new ApiError(0, 'The answer could not be read.'));
}

async function run() {
  if (page.running || !$('ask').reportValidity()) return;
  if (!page.info) await connect();
  const titles = { auto: 'Auto', latent: 'In latents', text: 'In text', none: 'Answer only' };
  const [lane] = begin([titles[mode()]]);
  if (await runLane(lane, bodyFor(mode()))) {
    lane.showEstimate();
    const { tokens, answer } = lane.trace;
    say(`Done. ${format.plural(tokens.total, 'token')}, of them ${format.plural(tokens.latent, 'latent')}. Answer: ${answer}`);
  }
  end();
}

/** The same prompt both ways, one after the other so that neither run slows the other down. */
async function compare() {
  if (page.running || !$('ask').reportValidity()) return;
  if (!page.info) await connect();
  const latentMode = mode() === 'auto' ? 'auto' : 'latent';
  const [text, latent] = begin(['In text', latentMode === 'auto' ? 'Auto' : 'In latents']);
  try {
    // The prompt is read once before, so that both runs meet the same prefix cache.
    await complete({ ...bodyFor('none'), max_tokens: 1 }, key(), page.running.signal);
  } catch (error) {
    giveUp(text, error);
    end();
    return;
  }
  if (await runLane(text, bodyFor('text')) && await runLane(latent, bodyFor(latentMode))) showSavings(text.trace, latent.trace);
  end();
}

function showSavings(text, latent) {
  if (!text.usage || !latent.usage || !text.timings || !latent.timings || !page.info) {
    say('Done, but the server sent no usage to compare.');
    return;
  }
  const pair = measuredPair(text, latent, page.info.engine.kv_bytes_per_position);
  const cut = [text.finishReason === 'length' && 'The text run', latent.finishReason === 'length' && 'The latent run'].filter(Boolean).join(' and ');
  showPair($('pair'), pair, { sameAnswer: text.answer.trim() === latent.answer.trim(), cut });
  const [tokens, , time] = pair.rows;
  say(`Done. Tokens: ${tokens.text} in text, ${tokens.latent} in latents. Time: ${format.milliseconds(time.text)} in text, ${format.milliseconds(time.latent)} in latents.`);
}

// ---- curl ----------------------------------------------------------------------------------------------------------------------

async function copyCurl() {
  const line = curlLine({ ...bodyFor(mode()), stream: true }, key() !== '');
  $('curl-text').textContent = line;
  $('curl-box').hidden = false;
  try {
    await navigator.clipboard.writeText(line);
    $('curl-note').textContent = 'Copied.';
  } catch {
    // Browsers give pages no clipboard on plain http from another machine.
    $('curl-note').textContent = 'Select and copy:';
  }
}

// ---- wiring ----------------------------------------------------------------------------------------------------------------------

$('ask').addEventListener('submit', (event) => { event.preventDefault(); run(); });
$('compare').addEventListener('click', compare);
$('stop').addEventListener('click', () => page.running?.abort());
$('curl').addEventListener('click', copyCurl);
$('example').addEventListener('change', showExample);
$('another').addEventListener('click', () => {
  $('example').selectedIndex = ($('example').selectedIndex + 1) % $('example').length;
  showExample();
});
for (const input of document.querySelectorAll('input[name=mode], #budget')) input.addEventListener('input', showDial);
$('key').value = sessionStorage.getItem(KEY) ?? '';
$('key').addEventListener('change', async () => {
  sessionStorage.setItem(KEY, key());
  await connect();
  await offerExamples();
});
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') page.running?.abort();
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    run();
  }
});

showDial();
await connect();
await offerExamples();
document.body.classList.add('ready');
