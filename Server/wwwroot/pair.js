// The measured savings of latents against text.
import * as format from './format.js';

const UNITS = { count: format.count, ms: format.milliseconds, bytes: format.bytes };

/** Shows what `measuredPair` found. */
export function showPair(element, pair, { sameAnswer, cut }) {
  const head = document.createElement('header');
  const title = document.createElement('h2');
  title.textContent = 'Measured savings';
  const basis = document.createElement('code');
  basis.className = 'basis';
  basis.textContent = pair.basis;
  head.append(title, basis);

  const list = document.createElement('ul');
  list.append(...pair.rows.map(row));

  const notes = [
    sameAnswer ? 'Both runs gave the same answer.' : 'The two runs gave different answers.',
    cut ? `${cut} was cut by the token limit: its figures are no full trace.` : '',
    'One prompt, run once each way, one after the other on a prompt that had been read before; time is the server’s, without the queue. '
      + 'For figures over many prompts with intervals: tessera-load compare.',
  ];
  const note = document.createElement('p');
  note.className = 'note';
  note.textContent = notes.filter(Boolean).join(' ');
  element.replaceChildren(head, list, note);
  element.hidden = false;
}

function row({ name, unit, text, latent, saved, fraction }) {
  const show = UNITS[unit];
  const item = document.createElement('li');
  item.classList.toggle('loss', saved < 0);

  const head = document.createElement('p');
  head.className = 'metric';
  const label = document.createElement('span');
  label.textContent = name;
  const figure = document.createElement('strong');
  figure.textContent = saved < 0 ? `${show(-saved)} more (${format.percent(-fraction)})` : `${show(saved)} saved (${format.percent(fraction)})`;
  head.append(label, figure);

  const most = Math.max(text, latent);
  item.append(head, bar('text', text, most, show), bar('latent', latent, most, show));
  return item;
}

function bar(kind, value, most, show) {
  const line = document.createElement('p');
  line.className = `measure k-${kind}`;
  const label = document.createElement('span');
  label.className = 'who';
  label.textContent = kind === 'text' ? 'Text' : 'Latents';
  const track = document.createElement('span');
  track.className = 'track';
  track.setAttribute('aria-hidden', 'true');
  const fill = document.createElement('span');
  fill.style.width = `${most > 0 ? (value / most) * 100 : 0}%`;
  track.append(fill);
  const figure = document.createElement('span');
  figure.className = 'value';
  figure.textContent = show(value);
  line.append(label, track, figure);
  return line;
}
