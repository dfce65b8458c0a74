/** The end user, in a browser: opens the link, chooses the books, presses "Sign in", and lands on the application's page. */
export async function signIn(reconnectUrl: string, accountName: string): Promise<string> {
  const page = await fetch(reconnectUrl);
  if (!page.ok) throw new Error(`the login page answered ${page.status}`);
  await page.text();
  const response = await fetch(page.url, {
    method: 'POST',
    body: new URLSearchParams({ account: accountName, action: 'signIn' }),
  });
  return response.text();
}
