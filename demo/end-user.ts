/** What people do in the demo, without a browser. */
import { z } from 'zod';

const login = z.object({ loginUrl: z.url() });

/** The application's backend: asks maesn-sync for a login page to send the customer to. */
export async function askForLogin(backendUrl: string, connectionId: string): Promise<string> {
  const response = await fetch(`${backendUrl}/connections/${connectionId}/authorize`, { method: 'POST' });
  return login.parse(await response.json()).loginUrl;
}

/** The customer: chooses the books, presses "Sign in", and reads what the page says on which they land. */
export async function signIn(loginUrl: string, accountName: string): Promise<string> {
  const response = await fetch(loginUrl, {
    method: 'POST',
    body: new URLSearchParams({ account: accountName, action: 'signIn' }),
  });
  const [, title = `an answer of ${response.status}`] = /<h1>(.*?)<\/h1>/s.exec(await response.text()) ?? [];
  return title.trim();
}
