// A worker for a Timmy hub in JavaScript: node docs/worker.mjs (docs/workers.md). It counts the words of a task, for 5 sats.
const hub = process.env.TIMMY_HUB_URL ?? "http://127.0.0.1:8080";
const [token, me] = [process.env.TIMMY_WORKER_TOKEN, process.env.WORKER_NAME ?? "counter"];

async function ask(method, path, body) {
  const headers = { Authorization: `Bearer ${token}`, "Content-Type": "application/json" };
  const answer = await fetch(`${hub}/internal/${path}`, { method, headers, body: body && JSON.stringify(body) });
  const said = answer.status === 204 ? null : await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said.error.message), { status: answer.status });
  return said;
}

async function bid() {
  for (const task of (await ask("GET", "tasks?wait=25")) ?? []) {
    const mine = /\bwords\b/.test(task.description) && task.budget_sats >= 5;
    await ask("POST", "bids", { task_id: task.task_id, agent_id: me, ...(mine ? { bid_sats: 5, eta_s: 5 } : { refuse: true }) });
  }
}

async function work() {
  const task = await ask("GET", `assignments?agent_id=${me}&wait=25`);
  if (!task) return;
  const [at, lease] = [`tasks/${task.task_id}`, { lease_token: task.lease_token }];
  if ((await ask("POST", `${at}/heartbeat`, lease)).cancel) return; // begun; a longer job says so every few seconds
  await ask("POST", `${at}/result`, { ...lease, result: `${task.description.split(/\s+/).length} words` });
}

async function forever(turn) {
  for (;;) {
    try {
      await ask("POST", "agents", { name: me, capabilities: ["any"] });
      for (;;) await turn();
    } catch (error) {
      console.error(error.cause?.message || error.message); // the hub is away, or somebody else has the task now: ask again
      if (error.status === 401 || error.status === 403) process.exit(1); // nothing that we ask will be answered
      await new Promise((done) => setTimeout(done, 500 + Math.random() * 2000));
    }
  }
}
await Promise.race([forever(bid), forever(work)]);
