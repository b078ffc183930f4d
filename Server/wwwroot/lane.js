// One response on the page: tiles, text, answer, counters.
import { Trace } from './trace.js';
import * as format from './format.js';

const KINDS = [
  ['latent', 'latent', 'latents'],
  ['control', 'delimiter', 'delimiters'],
  ['text', 'reasoning text'],
  ['answer', 'answer'],
];

const STATES = {
  waiting: 'waiting',
  reading: 'reading the prompt',
  latent: 'thinking in latents',
  text: 'thinking in text',
  answer: 'answering',
  done: 'done',
  length: 'cut by the token limit',
  stopped: 'stopped',
  failed: 'failed',
};

// Neighbouring codes get colours far apart; the colour is for the eye only, the number and the hint carry the meaning.
const hueOf = (code) => (code * 137.508) % 360;

/** Shows one response. */
export class Lane {
  trace = new Trace();
  #root;
  #tiles = new Map();
  #selected = null;
  #pinned = false;
  #started = null;
  #clock = null;
  #kvBytesPerPosition;

  /** @param {string} title @param {number|null} kvBytesPerPosition bytes of KV cache for one position */
  constructor(title, kvBytesPerPosition) {
    this.#kvBytesPerPosition = kvBytesPerPosition;
    this.#root = document.getElementById('lane').content.cloneNode(true).querySelector('.lane');
    this.#root.setAttribute('aria-label', title);
    this.#get('h2').textContent = title;
    this.#get('.unfold').addEventListener('click', (event) => this.#unfold(event.currentTarget));
    this.#get('.tiles').addEventListener('keydown', (event) => this.#moveBetweenTiles(event));
    this.#setState('waiting');
  }

  get element() {
    return this.#root;
  }

  /** Starts the clock. */
  start() {
    this.#started = performance.now();
    this.#setState('reading');
    this.#get('footer').hidden = false;
    const tick = () => {
      this.#showTime(performance.now() - this.#started);
      this.#clock = requestAnimationFrame(tick);
    };
    tick();
  }

  /** Adds a chunk of the stream. */
  add(chunk) {
    for (const latent of this.trace.add(chunk)) this.#showLatent(latent);
    this.#showText('.spelled', 'p', this.trace.reasoning);
    this.#showText('.answer', '.said', this.trace.answer);
    if (this.trace.phase) this.#setState(this.trace.phase);
    this.#showCounters();
  }

  /** The response is whole. @param {string|null} expected the right answer, when it is known */
  finish(expected) {
    this.#stopClock();
    this.#setState(this.trace.finishReason === 'length' ? 'length' : 'done');
    this.#showText('.answer', '.said', this.trace.answer || '(no answer)');
    if (this.trace.milliseconds !== null) this.#showTime(this.trace.milliseconds);
    this.#showCounters();
    if (expected) this.#showVerdict(expected);
  }

  /** The user stopped it. */
  stopped() {
    this.#stopClock();
    this.#setState('stopped');
  }

  /** It failed. @param {Error & {param?: string, requestId?: string, retryAfter?: string}} error */
  fail(error) {
    this.#stopClock();
    this.#setState('failed');
    if (this.trace.tokens.total === 0) this.#get('footer').hidden = true;
    const alert = this.#get('.alert');
    const lines = [error.message];
    if (error.param && !error.message.startsWith(error.param)) lines.push(`Field: ${error.param}.`);
    if (error.retryAfter) lines.push(`Try again in ${format.plural(Number(error.retryAfter), 'second')}.`);
    if (error.requestId) lines.push(`Request ${error.requestId}.`);
    alert.replaceChildren(...lines.map((line) => Object.assign(document.createElement('p'), { textContent: line })));
    alert.hidden = false;
  }

  #get(selector) {
    return this.#root.querySelector(selector);
  }

  #setState(state) {
    if (this.#root.dataset.state === state) return;
    this.#root.dataset.state = state;
    this.#get('.state').textContent = STATES[state];
  }

  #stopClock() {
    cancelAnimationFrame(this.#clock);
  }

  #showLatent(latent) {
    const place = `${latent.span}.${latent.index}`;
    let tile = this.#tiles.get(place);
    if (!tile) {
      tile = this.#newTile(latent);
      this.#tiles.set(place, tile);
      this.#get('.latents').hidden = false;
    }
    const number = [...this.#tiles.keys()].indexOf(place) + 1;
    const known = latent.hint !== null;
    tile.classList.toggle('pending', !known);
    tile.setAttribute('aria-label', known
      ? `Latent ${number}, code ${latent.code}: ${latent.hint} ${latent.confidence === null ? '' : format.certainty(latent.confidence)}`
      : `Latent ${number}, code ${latent.code}: hint not read yet`);
    tile.querySelector('.hint').textContent = latent.hint ?? '…';
    if (latent.confidence !== null) tile.style.setProperty('--sure', latent.confidence);
    // The latest tile is the one to read until the reader picks another.
    if (!this.#pinned || this.#selected === latent) this.#select(latent, this.#pinned);
  }

  #newTile(latent) {
    const item = document.createElement('li');
    const tile = document.createElement('button');
    tile.type = 'button';
    tile.className = 'tile pending';
    tile.tabIndex = -1;
    tile.style.setProperty('--hue', hueOf(latent.code));
    tile.style.setProperty('--nth', this.#tiles.size);
    tile.append(
      Object.assign(document.createElement('span'), { className: 'code', textContent: latent.code }),
      Object.assign(document.createElement('span'), { className: 'hint', textContent: '…' }));
    for (const kind of ['pointerenter', 'focus', 'click']) tile.addEventListener(kind, () => this.#select(latent, true));
    item.append(tile);
    this.#get('.tiles').append(item);
    return tile;
  }

  #select(latent, pinned) {
    this.#selected = latent;
    this.#pinned = pinned;
    const places = [...this.#tiles.keys()];
    for (const [place, tile] of this.#tiles) {
      const chosen = place === `${latent.span}.${latent.index}`;
      tile.classList.toggle('chosen', chosen);
      tile.tabIndex = chosen ? 0 : -1;
    }
    const number = places.indexOf(`${latent.span}.${latent.index}`) + 1;
    this.#get('.reading').style.setProperty('--hue', hueOf(latent.code));
    this.#get('.reading-head').textContent = `Latent ${number} of ${places.length}, code ${latent.code}, stands for`;
    this.#get('.reading-hint').textContent = latent.hint ?? 'The decoder has not read it yet …';
    this.#get('.reading-sure').hidden = latent.confidence === null;
    if (latent.confidence !== null) {
      this.#get('.reading-sure .bar').style.setProperty('--sure', latent.confidence);
      this.#get('.reading-sure .sure').textContent = `The decoder is ${format.certainty(latent.confidence)}.`;
    }
  }

  #moveBetweenTiles(event) {
    const tiles = [...this.#tiles.values()];
    const at = tiles.indexOf(document.activeElement);
    const to = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: tiles.length - 1 }[event.key];
    if (to === undefined || at < 0) return;
    event.preventDefault();
    tiles[Math.min(tiles.length - 1, Math.max(0, to))].focus();
  }

  #unfold(button) {
    const unfolded = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', unfolded);
    this.#get('.latents').classList.toggle('unfolded', unfolded);
  }

  #showText(part, where, text) {
    if (!text) return;
    this.#get(part).hidden = false;
    const element = this.#get(`${part} ${where}`);
    if (element.textContent !== text) element.textContent = text;
  }

  #showTime(ms) {
    this.#get('.time').textContent = format.milliseconds(ms);
  }

  #showCounters() {
    const tokens = this.trace.tokens;
    this.#get('.tokens').textContent = format.count(tokens.total);
    const { positions } = this.trace;
    if (positions !== null && this.#kvBytesPerPosition) this.#get('.kv').textContent = format.bytes(positions * this.#kvBytesPerPosition);
    const legend = [];
    for (const [kind, one, many] of KINDS) {
      this.#get(`.k-${kind}`).style.flexGrow = tokens[kind];
      if (tokens[kind] === 0) continue;
      const item = document.createElement('li');
      item.className = `k-${kind}`;
      item.textContent = `${format.count(tokens[kind])} ${tokens[kind] === 1 ? one : many ?? one}`;
      legend.push(item);
    }
    this.#get('.legend').replaceChildren(...legend);
  }

  #showVerdict(expected) {
    const right = this.trace.answer.trim() === expected;
    const verdict = this.#get('.verdict');
    verdict.hidden = false;
    verdict.classList.toggle('right', right);
    verdict.textContent = right ? '✓ as expected' : `✗ expected: ${expected}`;
  }

  /** Says what the server estimates that the latents saved. */
  showEstimate() {
    const savings = this.trace.usage?.latent_savings;
    if (!savings || savings.latent_tokens === 0) return;
    const note = this.#get('.saving');
    note.hidden = false;
    note.textContent = `Estimated against plain text: ${format.plural(Math.round(savings.tokens_saved), 'token')} (${format.percent(savings.fraction_saved)}) saved. `
      + 'Compare measures it.';
  }
}
