/** Waits until a question has an answer. @throws Error that says what was waited for */
export async function waitFor<Answer>(
  what: string,
  question: () => Answer | undefined | false | Promise<Answer | undefined | false>,
  withinMs = 60_000,
): Promise<Answer> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    const answer = await question();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadlineMs) throw new Error(`Waited ${withinMs} ms for ${what}.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
