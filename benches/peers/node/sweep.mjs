// A sweep as a user would write it for Node: undici and better-sqlite3.
//
// Asks for the list, reads the events of each request, sixteen at a time, looks for gaps in their sequence, and remembers in
// a SQLite file when each was looked at. Prints the seconds that took.
//
//     node sweep.mjs BASE_URL TOKEN ORG FILE
//
// Needs: npm install (package.json stands beside this).

import Database from 'better-sqlite3';
import { Pool } from 'undici';

const IN_FLIGHT = 16;
const BATCH = 2_000;

const [base, token, org, file] = process.argv.slice(2);

// No number of a stream is missing, none stands twice, and nobody marked an event as inconsistent.
function inOrder(events) {
  const streams = new Map();
  for (const event of events) {
    if (event.inconsistent) return false;
    const stream = `${event.request_number}/${event.subrequest_number}`;
    if (!streams.has(stream)) streams.set(stream, []);
    if (event.sequence_number != null) streams.get(stream).push(event.sequence_number);
  }
  for (const numbers of streams.values()) {
    numbers.sort((a, b) => a - b);
    for (let at = 1; at < numbers.length; at += 1) {
      if (numbers[at] - numbers[at - 1] !== 1) return false;
    }
  }
  return true;
}

const begun = performance.now();
const store = new Database(file);
store.pragma('journal_mode = WAL');
store.pragma('synchronous = OFF');
store.exec(`CREATE TABLE looks (org TEXT, reference_id TEXT, looked_at TEXT, PRIMARY KEY (org, reference_id)) WITHOUT ROWID;
            CREATE TABLE findings (org TEXT, reference_id TEXT, found_at TEXT)`);
const look = store.prepare('INSERT OR REPLACE INTO looks VALUES (?, ?, ?)');
const find = store.prepare('INSERT INTO findings VALUES (?, ?, ?)');
let looked = [];
let found = [];
let failed = 0;
const flush = store.transaction(() => {
  for (const row of looked) look.run(...row);
  for (const row of found) find.run(...row);
  looked = [];
  found = [];
});

const url = new URL(base);
const requests = `${url.pathname}/tesa/orgs/${org}/requests`;
const headers = { authorization: `Bearer ${token}`, accept: 'application/json' };
const pool = new Pool(url.origin, { connections: IN_FLIGHT });

async function get(path) {
  const { statusCode, body } = await pool.request({ path, method: 'GET', headers });
  if (statusCode !== 200) {
    await body.dump();
    throw new Error(`${path}: ${statusCode}`);
  }
  return body.json();
}

const ids = (await get(requests)).reference_ids.values();
async function worker() {
  for (const id of ids) {
    let events;
    try {
      events = await get(`${requests}/${id}/events`);
    } catch {
      failed += 1;
      continue;
    }
    const now = new Date().toISOString();
    looked.push([org, id, now]);
    if (!inOrder(events)) found.push([org, id, now]);
    if (looked.length >= BATCH) flush();
  }
}
await Promise.all(Array.from({ length: IN_FLIGHT }, worker));
flush();
const { count } = store.prepare('SELECT count(*) AS count FROM looks').get();
store.close();
await pool.close();
console.log(`${count} ${failed} ${((performance.now() - begun) / 1000).toFixed(3)}`);
