// The status page: listens to /live and shows what it says. Every text goes in by textContent, never as markup.
"use strict";

const TONES = {
  open: "wait", bidding: "wait", awarded: "busy", running: "busy", delivered: "busy",
  settled: "good", failed: "bad", cancelled: "idle", expired: "idle", free: "good", busy: "busy", unable: "idle",
};
const COSTS_NOTHING = new Set(["failed", "cancelled", "expired"]);
const HAPPENED = {
  TaskPosted: "posted", TaskWaiting: "waits for somebody free", AuctionOpened: "up for bids", BidPlaced: "bids on",
  BidRefused: "declines", AuctionVoid: "found no bidder", TaskAwarded: "wins", TaskStarted: "starts",
  AttemptFailed: "gives back", TaskDelivered: "delivers", TaskRejected: "is asked again for", TaskSettled: "is paid for",
  TaskFailed: "failed", TaskCancelled: "cancelled", TaskExpired: "expired", AgentSpawned: "joins",
  AgentDismissed: "leaves", BookOpened: "the book is opened", SurfaceDown: "a surface is down", SurfaceUp: "a surface is up",
  HandlerFailed: "a message could not be made", SatsTransferred: "sats go from one person to another",
  SpendingFrozen: "spending is frozen", SpendingUnfrozen: "spending goes on", LimitChanged: "a limit is changed",
};
const RECONNECT_MS = 3000;
const TEXTS_MS = 300;

const $ = (id) => document.getElementById(id);
const state = { session: false, tasks: [], texts: new Map() };

function make(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

function pill(status, words) {
  const element = make("span", "pill", words ?? status);
  element.dataset.tone = TONES[status] ?? "idle";
  return element;
}

function sats(amount, before) {
  const element = make("span", "sats");
  if (before) element.append(make("small", "", before), " ");
  element.append(amount.toLocaleString("en"), " ", make("small", "", amount === 1 ? "sat" : "sats"));
  return element;
}

function cost(task) {
  if (COSTS_NOTHING.has(task.status)) return sats(0);
  return task.price_sats === undefined ? sats(task.budget_sats, "up to") : sats(task.price_sats);
}

function moment(at) {
  const date = new Date(at);
  const element = make("time", "", date.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false }));
  element.dateTime = date.toISOString();
  element.title = date.toLocaleString();
  return element;
}

function ago(at) {
  const seconds = Math.max(0, (Date.now() - at) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

function within(at) {
  const seconds = Math.max(0, (at - Date.now()) / 1000);
  if (seconds < 90) return `within ${Math.ceil(seconds)} s`;
  if (seconds < 5400) return `within ${Math.ceil(seconds / 60)} min`;
  return `within ${Math.ceil(seconds / 3600)} h`;
}

// One element a key, kept while it lasts, so that an update moves no focus and closes nothing that was opened.
function keyed(list, items, key, draw) {
  const before = new Map([...list.children].map((child) => [child.dataset.key, child]));
  items.forEach((item, index) => {
    const name = String(key(item));
    const child = before.get(name) ?? make("li");
    before.delete(name);
    child.dataset.key = name;
    draw(child, item);
    if (list.children[index] !== child) list.insertBefore(child, list.children[index] ?? null);
  });
  before.forEach((child) => child.remove());
}

const show = {
  hub(hub) {
    const health = $("health");
    health.classList.toggle("bad", !hub.ok);
    const well = `All parts are up, started ${ago(hub.started)}`;
    health.textContent = !hub.ok ? "Something is down" : !hub.ready ? "Starting …" : well;
    document.title = hub.ok ? "Timmy" : "Timmy: something is down";
    state.model = hub.model;
    drawParts();
  },

  parts(parts) {
    state.parts = parts;
    drawParts();
  },

  totals() {
    drawFigures();
  },

  money(money) {
    $("frozen").hidden = !money.frozen;
    drawFigures();
  },

  agents(agents) {
    keyed($("agents"), agents, (agent) => agent.name, (item, agent) => {
      const row = make("div", "row");
      const who = make("span", "grow");
      const does = [agent.role, ...agent.tasks].join(" · ");
      who.append(make("span", "name", agent.name), " ", make("span", "soft", does));
      row.append(who, pill(agent.state, agent.why ?? agent.state));
      item.replaceChildren(row);
    });
  },

  crew(crew) {
    $("crew").hidden = crew.here + crew.away === 0;
    const more = crew.more ? `; ${crew.more.toLocaleString("en")} of them not shown` : "";
    const here = crew.here === 1 ? "1 worker is here" : `${crew.here.toLocaleString("en")} workers are here`;
    $("crew").textContent = `${here}, ${crew.away.toLocaleString("en")} away${more}`;
  },

  auctions(auctions) {
    $("auctions-card").hidden = auctions.length === 0;
    keyed($("auctions"), auctions, (auction) => auction.task, (item, auction) => {
      const row = make("div", "row");
      const words = make("span", "grow", auction.bids === 1 ? "1 bid" : `${auction.bids} bids`);
      const closing = make("time", "soft", ` · ${auction.asked ? "its requester picks" : "closes"} ${within(auction.closes)}`);
      closing.dateTime = new Date(auction.closes).toISOString();
      words.append(closing);
      row.append(make("span", "id", auction.task), words, sats(auction.budget_sats, "up to"));
      item.replaceChildren(row);
    });
  },

  tasks(tasks) {
    $("tasks-none").hidden = tasks.length > 0;
    drawTasks();
    askTexts();
  },

  session(session) {
    state.session = session;
    $("locked").hidden = session;
    askTexts();
  },

  spark(spark) {
    $("spark-card").hidden = spark.scored === 0;
    const share = spark.winners ? `, ${Math.round((100 * spark.right) / spark.winners)} % of ${spark.winners.toLocaleString("en")} winners right` : "";
    $("spark-record").textContent = `${spark.scored.toLocaleString("en")} forecasts scored${share}`;
    keyed($("advice"), spark.advice, (advice) => advice.number, (item, advice) => {
      item.replaceChildren(make("div", "", advice.text), make("div", "soft", `since ${ago(advice.since)}`));
    });
  },

  events(events) {
    $("events-none").hidden = events.length > 0;
    keyed($("events"), [...events].reverse(), (event) => event.id, (item, event) => {
      if (item.firstChild) return;
      const words = [event.agent, HAPPENED[event.type] ?? event.type, event.task];
      if (!event.agent) words.reverse();
      item.append(moment(event.at), make("span", "", words.filter(Boolean).join(" ")));
    });
  },
};

function drawParts() {
  const parts = (state.parts ?? []).map((part) => ({ name: part.name, up: part.up ? "yes" : "no" }));
  parts.push({ name: "model", up: state.model ? "yes" : "absent" });
  keyed($("parts"), parts, (part) => part.name, (item, part) => {
    item.dataset.up = part.up;
    const words = part.up === "yes" ? part.name : `${part.name}: ${part.up === "no" ? "down" : "none"}`;
    const mark = make("span", "dot");
    mark.setAttribute("aria-hidden", "true");
    item.replaceChildren(mark, make("span", "", words));
  });
}

function drawFigures() {
  const { money, totals } = state;
  if (!money || !totals) return;
  const live = Object.values(totals.live).reduce((sum, count) => sum + count, 0);
  const figures = [
    ["task-figure", live, "", "tasks under way"],
    ["task-figure", totals.posted, "", "tasks ever"],
    ["", money.held_sats, "sats", "held for tasks and payments"],
    ["", money.escrow_sats, "sats", "in escrow"],
    ["", money.treasury_sats, "sats", `in the treasury; today ${money.earned_today_sats.toLocaleString("en")} earned, `
      + `${money.spent_today_sats.toLocaleString("en")} spent`],
  ];
  $("figures").replaceChildren(...figures.map(([className, amount, unit, words]) => {
    const figure = make("div", className);
    const number = make("dd");
    const shown = make("span", "amount", amount.toLocaleString("en"));
    if (unit) shown.append(" ", make("small", "", unit));
    number.append(shown);
    if (unit && money.simulated) number.append(make("span", "tag", "simulated"));
    figure.append(make("dt", "", words), number);
    return figure;
  }));
}

function drawTasks() {
  keyed($("tasks"), state.tasks, (task) => task.task, (item, task) => {
    const said = state.texts.get(task.task);
    const drawn = JSON.stringify([task, said, ago(task.posted)]);
    if (item.dataset.drawn === drawn) return;
    item.dataset.drawn = drawn;
    item.className = "task";
    const details = item.firstChild?.tagName === "DETAILS" ? item.firstChild : make("details");
    const summary = details.firstChild ?? make("summary");
    const row = make(said ? "span" : "div", "row");
    row.append(make("span", "id", task.task), pill(task.status), taskWords(task, said));
    row.append(cost(task));
    if (!said) {
      item.replaceChildren(row);
      return;
    }
    summary.replaceChildren(row);
    const result = said.result ?? said.why;
    details.replaceChildren(summary, make("p", "words-of", result ?? "No result yet."));
    if (item.firstChild !== details) item.replaceChildren(details);
  });
}

function taskWords(task, said) {
  const facts = [task.agent, task.attempt > 1 ? `attempt ${task.attempt}` : "", ago(task.posted)].filter(Boolean).join(" · ");
  const words = make("span", "grow");
  if (said) words.append(make("div", "cut", said.description));
  words.append(make("div", "soft", facts));
  return words;
}

let asking = 0;

function askTexts() {
  clearTimeout(asking);
  if (state.session) asking = setTimeout(fetchTexts, TEXTS_MS);
}

async function fetchTexts() {
  try {
    const answer = await fetch("/page/tasks");
    if (answer.status === 401) {
      state.session = false;
      state.texts = new Map();
      $("locked").hidden = false;
    } else if (answer.ok) {
      state.texts = new Map((await answer.json()).tasks.map((task) => [task.task, task]));
    }
    drawTasks();
  } catch {
    // The connection is lost; /live says so, and brings the next occasion.
  }
}

function linked(name, words) {
  const link = $("link");
  if (link.dataset.state === name) return;
  link.dataset.state = name;
  link.querySelector(".words").textContent = words;
}

function connect() {
  const source = new EventSource("/live");
  source.onmessage = (message) => {
    linked("live", "live");
    const sections = JSON.parse(message.data);
    Object.assign(state, sections);
    for (const [name, section] of Object.entries(sections)) show[name]?.(section);
  };
  source.onerror = () => {
    linked("lost", "connection lost, trying again");
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, RECONNECT_MS);
  };
}

if (location.pathname === "/login") {
  $("notice").textContent = "This login link is not whole, was used already, or is too old. Run timmy status --page again for a new one.";
  $("notice").hidden = false;
  history.replaceState(null, "", "/");
}
setInterval(() => {
  drawTasks();
  if (state.hub) show.hub(state.hub);
  if (state.auctions) show.auctions(state.auctions);
  if (state.spark) show.spark(state.spark);
}, 20_000);
connect();
