/** What Maesn does to requests while a fault is on: which share of them, and how often it has. */
import type { FaultAnswer, FaultRule, Weather } from '../../sandbox/index.js';

export interface WeatherStation {
  readonly of: Weather;
  /** From now on every `every`-th request is answered with one of these, in turn. Answers how often that has been. */
  begin(rule: WeatherRule): { readonly met: () => number; readonly end: () => void };
}

export interface WeatherRule {
  readonly answers: readonly FaultAnswer[];
  /** 1 is all of them. */
  readonly every: number;
  /** Whether a write may have been carried out behind such an answer: then every second one is. */
  readonly hidesOutcome: boolean;
}

export function createWeather(): WeatherStation {
  let rule: WeatherRule | undefined;
  let asked = 0;
  let met = 0;
  return {
    of(): Pick<FaultRule, 'answer' | 'applied'> | undefined {
      if (rule === undefined) return undefined;
      asked += 1;
      if (asked % rule.every !== 0) return undefined;
      const answer = rule.answers[met % rule.answers.length];
      met += 1;
      // That envelope says that a write has succeeded: nobody could find out that it has not.
      const saysSo = answer === 'wrongEnvelope';
      const isCarriedOut = saysSo || Math.floor(met / rule.answers.length) % 2 === 0;
      return answer && { answer, applied: rule.hidesOutcome && isCarriedOut };
    },
    begin(next) {
      if (rule !== undefined) throw new Error('there is weather already');
      rule = next;
      met = 0;
      return { met: () => met, end: () => void (rule = undefined) };
    },
  };
}
