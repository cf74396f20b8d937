// Reads a subscription of lifecycle events, and prints a line for each.
//
//   node alert.mjs projects/PROJECT/subscriptions/NAME
//
// If ALERT_URL is set it posts the line there, too, as the incoming webhooks of Slack
// and other chats take it. It needs nothing but Node 18: Pub/Sub is asked by REST, that of
// jobdrop local where PUBSUB_EMULATOR_HOST names it, else Google's with the access
// token in TOKEN.
//
// An event is acknowledged once it was told. Any failure ends the program; what it did
// not acknowledge comes again when it is started again.
const [subscription] = process.argv.slice(2);
const {ALERT_URL: url, PUBSUB_EMULATOR_HOST: local, TOKEN: token} = process.env;
const pubsub = local ? `http://${local}/v1/` : 'https://pubsub.googleapis.com/v1/';
const authorization = local ? {} : {Authorization: `Bearer ${token}`};

async function post(name, to, body, headers, timeout) {
  const answer = await fetch(to, {
    method: 'POST',
    headers: {'Content-Type': 'application/json', ...headers},
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeout),
  });
  // The URL stays out of errors: a webhook's is a secret.
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${await answer.text()}`);
  return answer.text();
}

const told = new Map(); // the last sequence of each attempt: delivery is at least once
for (;;) {
  // A pull waits for a while for a first message.
  const pulled = await post('pull', `${pubsub}${subscription}:pull`, {maxMessages: 10}, authorization, 300_000);
  for (const {ackId, message} of JSON.parse(pulled).receivedMessages ?? []) {
    const event = JSON.parse(Buffer.from(message.data, 'base64').toString());
    if (event.sequence > (told.get(event.attempt) ?? 0)) {
      const name = message.attributes['ce-type'].replace(/^dev\.jobdrop\.|\.v1$/g, '');
      const folder = message.attributes['ce-subject'] ?? '';
      // What a job says must not call a whole channel: no <!here>.
      const text = `${name} ${folder}: ${event.reason || event.state}`.replaceAll('<', '‹').replaceAll('>', '›');
      if (url) await post('webhook', url, {text}, {}, 15_000);
      console.log(text);
      told.set(event.attempt, event.sequence);
    }
    await post('acknowledge', `${pubsub}${subscription}:acknowledge`, {ackIds: [ackId]}, authorization, 60_000);
  }
}
