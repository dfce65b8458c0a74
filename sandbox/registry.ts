/** The accounts of a sandbox, and which key opens which. */
import { createAccount } from './account.js';
import type { AccountOptions, OpenAccount } from './account.js';
import { FIRMS } from './records/names.js';

export type Registry = ReturnType<typeof createRegistry>;

export function createRegistry({ seed, now }: { readonly seed: string; readonly now: () => Date }) {
  const accounts = new Map<string, OpenAccount>();
  /** Dead keys stay: a request with one is still known to be that account's. */
  const byKey = new Map<string, OpenAccount>();

  function onKey(accountKey: string, account: OpenAccount): void {
    byKey.set(accountKey, account);
  }

  return {
    get accounts(): readonly OpenAccount[] {
      return [...accounts.values()];
    },

    add(options: AccountOptions): OpenAccount {
      const name = options.name ?? nextName(accounts);
      if (name === '' || accounts.has(name)) throw new RangeError(`name: there is an account ${JSON.stringify(name)}`);
      if (!isTargetSystem(options.targetSystem))
        throw new RangeError(`targetSystem: ${options.targetSystem} is no slug`);
      const account = createAccount(options, { name, seed, now, onKey });
      accounts.set(name, account);
      return account;
    },

    byName: (name: string) => accounts.get(name),

    /** The account this key is or was for, and whether it opens it now. */
    open(accountKey: string | undefined): { readonly account?: OpenAccount; readonly opens: boolean } {
      const account = accountKey === undefined ? undefined : byKey.get(accountKey);
      if (account === undefined) return { opens: false };
      return { account, opens: !account.revoked && account.accountKey === accountKey };
    },
  };
}

export function isTargetSystem(slug: string): boolean {
  return /^[a-z0-9][a-z0-9-]{0,60}$/.test(slug);
}

function nextName(taken: ReadonlyMap<string, unknown>): string {
  for (let round = 1; ; round += 1) {
    const free = FIRMS.map((firm) => (round === 1 ? firm : `${firm} (${round})`)).find((name) => !taken.has(name));
    if (free !== undefined) return free;
  }
}
