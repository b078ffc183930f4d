// Compares a response printed in README with the one the server just gave: what the model says must agree, ids and times may differ.
import { readFileSync } from 'node:fs';

const [shown, given] = process.argv.slice(2).map((file) => JSON.parse(readFileSync(file, 'utf8')));
const said = (response) => {
  const { message, finish_reason } = response.choices[0];
  const { prompt_tokens, completion_tokens, completion_tokens_details } = response.usage;
  return JSON.stringify({
    content: message.content,
    codes: message.latent_reasoning?.spans.map((span) => span.codes),
    hints: message.latent_reasoning?.spans.map((span) => span.hint),
    finish_reason,
    usage: { prompt_tokens, completion_tokens, ...completion_tokens_details },
  });
};
if (said(shown) !== said(given)) {
  console.log(`README shows ${said(shown)}\nthe server said ${said(given)}`);
  process.exit(1);
}
