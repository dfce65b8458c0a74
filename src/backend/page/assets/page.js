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
  beforeNodeMorphed: (node) => !(node.localName === 'input' && node.type !== 'hidden'),
};

/** Where one must sign in first, the server leads there. */
async function isSignedOut() {
  try {
    return (await fetch(location.pathname, { redirect: 'manual' })).type === 'opaqueredirect';
  } catch {
    return false;
  }
}

/** The server says something every 15 seconds; three times nothing is a line that is dead. */
const SILENCE_MS = 45_000;

function listen(url) {
  const stream = new EventSource(url);
  let silence;
  const again = () => {
    clearTimeout(silence);
    stream.close();
    lost.hidden = false;
    setTimeout(() => void listenAgain(url), 3000);
  };
  const heard = (isStale) => {
    lost.hidden = !isStale;
    clearTimeout(silence);
    silence = setTimeout(again, SILENCE_MS);
  };
  stream.addEventListener('open', () => heard(false));
  stream.addEventListener('alive', () => heard(!lost.hidden));
  stream.addEventListener('stale', () => heard(true));
  stream.addEventListener('error', again);
  stream.addEventListener('changed', ({ data }) => {
    heard(false);
    Idiomorph.morph(live, data, { morphStyle: 'innerHTML', callbacks });
    countDown();
  });
}

async function listenAgain(url) {
  if (await isSignedOut()) location.reload();
  else listen(url);
}

if (live?.dataset.stream) listen(live.dataset.stream);
countDown();
setInterval(countDown, 1000);
