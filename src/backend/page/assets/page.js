// What a page gains by scripts: it changes by itself, and counts down. Without them, it is reloaded by hand.
import { Idiomorph } from './idiomorph.js';

const live = document.querySelector('#live');
const lost = document.querySelector('#lost');

/** As the server says it: 3m 12s. */
function inWords(ms) {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 0) return 'a moment';
  const parts = [
    [Math.floor(seconds / 86400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  return parts
    .filter(([amount]) => amount > 0)
    .map(([amount, unit]) => amount + unit)
    .join(' ');
}

function countDown() {
  for (const time of document.querySelectorAll('time[data-countdown]')) {
    const text = inWords(Date.parse(time.dataset.countdown) - Date.now());
    if (time.textContent !== text) time.textContent = text;
  }
}

/** What somebody has opened or is writing stays as it is. */
const callbacks = {
  beforeAttributeUpdated: (name, node) => !(node.localName === 'details' && name === 'open'),
  beforeNodeMorphed: (node) => !(node.localName === 'input'),
};

function listen(url) {
  const stream = new EventSource(url);
  stream.addEventListener('open', () => {
    lost.hidden = true;
  });
  stream.addEventListener('error', () => {
    lost.hidden = false;
    // A stream that was refused is not tried again by itself.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => listen(url), 3000);
  });
  stream.addEventListener('changed', ({ data }) => {
    Idiomorph.morph(live, data, { morphStyle: 'innerHTML', callbacks });
    countDown();
  });
}

if (live?.dataset.stream) listen(live.dataset.stream);
countDown();
setInterval(countDown, 1000);
