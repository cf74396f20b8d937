// Calls the local stack with Google's clients for Node, over REST and gRPC, and holds the
// answers to what the cloud gives. What is not there has to fail at once, with a word on it.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import aiplatform from '@google-cloud/aiplatform'
import { Logging } from '@google-cloud/logging'
import { PubSub, v1 as pubsubV1 } from '@google-cloud/pubsub'
import { Storage } from '@google-cloud/storage'
import { HTTP } from 'cloudevents'
import { PassThroughClient } from 'google-auth-library'
import { google } from 'googleapis'
import grpc from '@grpc/grpc-js'

assert.ok(Number(process.versions.node.split('.')[0]) >= 22, `the clients need Node 22, this is ${process.version}`)

const projectId = 'local'
const unique = `page-${process.pid}-${Date.now()}`
const backend = new URL(process.env.JOBDROP_BACKEND_ENDPOINT)
const [pubsubHost, pubsubPort] = process.env.PUBSUB_EMULATOR_HOST.split(':')
const sslCreds = grpc.credentials.createInsecure()

// at returns the options of a generated client for a service of the stack.
const at = (host, port, transport) => ({
  projectId, apiEndpoint: host, servicePath: host, port: Number(port), sslCreds,
  ...(transport === 'rest' ? { fallback: true, protocol: 'http', authClient: new PassThroughClient() } : {}),
})

// absent expects a call to be refused at once, with a word that says what is not there.
async function absent(call) {
  const began = Date.now()
  await assert.rejects(call, err => {
    assert.match(String(err.message), /not|no method/i)
    assert.doesNotMatch(String(err.message), /timed? ?out|deadline|ECONN/i)
    return true
  })
  assert.ok(Date.now() - began < 3000, `it took ${Date.now() - began} ms`)
}

test('storage', async t => {
  const storage = new Storage({ projectId })
  const [bucket] = await storage.createBucket(unique)
  const file = bucket.file('a/one.txt')

  await t.test('upload in one request', async () => {
    await file.save('hello', { resumable: false, contentType: 'text/plain', metadata: { metadata: { who: 'page' } } })
    const [metadata] = await file.getMetadata()
    assert.equal(metadata.contentType, 'text/plain')
    assert.equal(metadata.metadata.who, 'page')
    assert.equal(metadata.crc32c, 'mnG7TA==')
  })
  await t.test('resumable upload in chunks', async () => {
    const large = bucket.file('a/large')
    await large.save(Buffer.alloc(1 << 20, 'x'), { resumable: true, chunkSize: 256 << 10 })
    assert.equal((await large.getMetadata())[0].size, String(1 << 20))
  })
  await t.test('download with validation', async () => {
    assert.equal(String((await file.download({ validation: 'crc32c' }))[0]), 'hello')
  })
  await t.test('range', async () => {
    const parts = []
    for await (const part of file.createReadStream({ start: 1, end: 3 })) parts.push(part)
    assert.equal(String(Buffer.concat(parts)), 'ell')
  })
  await t.test('compressed object', async () => {
    const packed = bucket.file('packed')
    await packed.save('hello', { gzip: true, resumable: false })
    assert.equal(String((await packed.download())[0]), 'hello')
  })
  await t.test('list with a delimiter', async () => {
    const [, , answer] = await bucket.getFiles({ delimiter: '/', autoPaginate: false })
    assert.deepEqual(answer.prefixes, ['a/'])
    const [files] = await bucket.getFiles({ prefix: 'a/' })
    assert.deepEqual(files.map(f => f.name), ['a/large', 'a/one.txt'])
  })
  await t.test('change of metadata', async () => {
    await file.setMetadata({ metadata: { who: null, also: 'this' } })
    assert.deepEqual((await file.getMetadata())[0].metadata, { also: 'this' })
  })
  await t.test('copy', async () => {
    await file.copy(bucket.file('b/copy.txt'))
    assert.equal(String((await bucket.file('b/copy.txt').download())[0]), 'hello')
  })
  await t.test('move in one step', async () => {
    await bucket.file('b/copy.txt').moveFileAtomic('b/moved.txt')
    assert.deepEqual(await bucket.file('b/copy.txt').exists(), [false])
  })
  await t.test('compose', async () => {
    await bucket.combine([file, bucket.file('b/moved.txt')], bucket.file('both'))
    assert.equal(String((await bucket.file('both').download())[0]), 'hellohello')
  })
  await t.test('precondition', async () => {
    await assert.rejects(file.save('x', { preconditionOpts: { ifGenerationMatch: 0 } }), { code: 412 })
  })
  await t.test('object that is not there', async () => {
    await assert.rejects(bucket.file('none').getMetadata(), { code: 404 })
  })
  await t.test('IAM is not there', async () => absent(bucket.iam.setPolicy({ bindings: [] })))
  await t.test('notifications are not there', async () => absent(bucket.createNotification('topic')))
  await t.test('delete', async () => {
    await bucket.deleteFiles()
    await bucket.delete()
    assert.deepEqual(await bucket.exists(), [false])
  })
})

test('pubsub over gRPC', async t => {
  const pubsub = new PubSub({ projectId })
  const [topic] = await pubsub.createTopic(`${unique}-grpc`)
  const [subscription] = await topic.createSubscription(`${unique}-grpc`, { enableMessageOrdering: true })

  await t.test('ordered messages', async () => {
    const ordered = pubsub.topic(topic.name, { messageOrdering: true })
    const received = []
    const all = new Promise((resolve, reject) => {
      subscription.on('error', reject)
      subscription.on('message', m => {
        received.push(`${m.data} ${m.attributes.n} ${m.orderingKey}`)
        m.ack()
        if (received.length === 5) resolve()
      })
    })
    for (let n = 0; n < 5; n++) {
      await ordered.publishMessage({ data: Buffer.from('hi'), attributes: { n: String(n) }, orderingKey: 'k' })
    }
    await all
    assert.deepEqual(received, [0, 1, 2, 3, 4].map(n => `hi ${n} k`))
    await subscription.close()
  })
  await t.test('filter', async () => {
    const [some] = await topic.createSubscription(`${unique}-some`, { filter: 'attributes.kind = "b"' })
    const message = once(some, 'message')
    await topic.publishMessage({ data: Buffer.from('1'), attributes: { kind: 'a' } })
    await topic.publishMessage({ data: Buffer.from('2'), attributes: { kind: 'b' } })
    const [m] = await message
    assert.equal(String(m.data), '2')
    m.ack()
    await some.close()
    await some.delete()
  })
  await t.test('lists', async () => {
    assert.ok((await pubsub.getTopics())[0].some(each => each.name === topic.name))
    assert.ok((await topic.getSubscriptions())[0].some(each => each.name === subscription.name))
  })
  await t.test('topic that is not there', async () => {
    await assert.rejects(pubsub.topic('none').publishMessage({ data: Buffer.from('x') }), { code: 5 })
  })
  await t.test('schemas are not there', async () => absent(pubsub.createSchema('s', 'AVRO', '{}')))
  await t.test('snapshots are not there', async () => absent(subscription.createSnapshot('s')))
  await t.test('IAM is not there', async () => absent(topic.iam.getPolicy()))
  await subscription.delete()
  await topic.delete()
  await pubsub.close()
})

test('pubsub over REST', async t => {
  const publisher = new pubsubV1.PublisherClient(at(pubsubHost, pubsubPort, 'rest'))
  const subscriber = new pubsubV1.SubscriberClient(at(pubsubHost, pubsubPort, 'rest'))
  const topic = publisher.projectTopicsPath?.(projectId, `${unique}-rest`) ?? `projects/${projectId}/topics/${unique}-rest`
  const subscription = `projects/${projectId}/subscriptions/${unique}-rest`
  await t.test('publish and pull', async () => {
    await publisher.createTopic({ name: topic })
    await subscriber.createSubscription({ name: subscription, topic })
    await publisher.publish({ topic, messages: [{ data: Buffer.from('hi'), attributes: { a: 'b' } }] })
    const [{ receivedMessages }] = await subscriber.pull({ subscription, maxMessages: 10 })
    assert.equal(receivedMessages.length, 1)
    assert.equal(String(receivedMessages[0].message.data), 'hi')
    await subscriber.acknowledge({ subscription, ackIds: [receivedMessages[0].ackId] })
  })
  await t.test('delete', async () => {
    await subscriber.deleteSubscription({ subscription })
    await publisher.deleteTopic({ topic })
    await assert.rejects(publisher.getTopic({ topic }), { code: 5 })
  })
})

const parent = `projects/${projectId}/locations/us-central1`
const customJob = {
  displayName: unique,
  jobSpec: {
    workerPoolSpecs: [{
      machineSpec: { machineType: 'n1-standard-4' },
      replicaCount: '1',
      containerSpec: {
        imageUri: 'us-docker.pkg.dev/vertex-ai/training/scikit-learn-cpu.0-23:latest',
        command: ['python3', '-c', 'print("a line of the page")'],
      },
    }],
  },
}

// ended waits for a job's last state.
async function ended(get) {
  for (const limit = Date.now() + 60_000; Date.now() < limit;) {
    const job = await get()
    if (/SUCCEEDED|FAILED|CANCELLED/.test(job.state)) return job
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  throw new Error('the job has not ended within a minute')
}

const lines = new Map() // the jobs whose lines the logs have, by transport

for (const transport of ['rest', 'gRPC']) {
  test(`aiplatform over ${transport}`, async t => {
    const jobs = new aiplatform.v1.JobServiceClient(at(backend.hostname, backend.port, transport))
    let name
    await t.test('custom job', async () => {
      const [created] = await jobs.createCustomJob({ parent, customJob })
      name = created.name
      const job = await ended(async () => (await jobs.getCustomJob({ name }))[0])
      assert.equal(job.state, 'JOB_STATE_SUCCEEDED')
      lines.set(transport, name.split('/').at(-1))
    })
    await t.test('list with a filter', async () => {
      const [list] = await jobs.listCustomJobs({ parent, filter: `displayName="${unique}"` })
      assert.ok(list.some(job => job.name === name))
    })
    await t.test('cancel', async () => {
      const [{ name }] = await jobs.createCustomJob({
        parent,
        customJob: {
          ...customJob,
          jobSpec: {
            workerPoolSpecs: [{
              ...customJob.jobSpec.workerPoolSpecs[0],
              containerSpec: { ...customJob.jobSpec.workerPoolSpecs[0].containerSpec, command: ['python3', '-c', 'import time; time.sleep(60)'] },
            }],
          },
        },
      })
      await jobs.cancelCustomJob({ name })
      assert.equal((await ended(async () => (await jobs.getCustomJob({ name }))[0])).state, 'JOB_STATE_CANCELLED')
    })
    await t.test('job that is not there', async () => {
      await assert.rejects(jobs.getCustomJob({ name: `${parent}/customJobs/1` }), { code: 5 })
    })
    await t.test('request that is not valid', async () => {
      await assert.rejects(jobs.createCustomJob({ parent, customJob: { displayName: 'x' } }), { code: 3 })
    })
    await t.test('batch predictions are not there', async () => absent(jobs.listBatchPredictionJobs({ parent }, { autoPaginate: false })))
    await t.test('datasets are not there', async () => {
      const datasets = new aiplatform.v1.DatasetServiceClient(at(backend.hostname, backend.port, transport))
      await absent(datasets.getDataset({ name: `${parent}/datasets/1` }))
    })
  })

  test(`logging over ${transport}`, async t => {
    const logging = new Logging(at(backend.hostname, backend.port, transport))
    await t.test('lines of a job', async () => {
      const id = lines.get(transport)
      assert.ok(id, 'no job has run')
      const [entries] = await logging.getEntries({ filter: `resource.labels.job_id="${id}"`, orderBy: 'timestamp asc' })
      assert.ok(entries.some(e => JSON.stringify(e.data).includes('a line of the page')), JSON.stringify(entries.map(e => e.data)))
    })
    await t.test('sinks are not there', async () => absent(logging.getSinks({ autoPaginate: false })))
  })
}

test('googleapis', async t => {
  const rootUrl = url => (url.endsWith('/') ? url : `${url}/`)
  const retry = false

  await t.test('storage', async () => {
    const storage = google.storage({ version: 'v1', rootUrl: rootUrl(process.env.STORAGE_EMULATOR_HOST), retry })
    const bucket = `${unique}-api`
    await storage.buckets.insert({ project: projectId, requestBody: { name: bucket } })
    // An upload takes its address from the options of the call.
    await storage.objects.insert({ bucket, name: 'one', media: { mimeType: 'text/plain', body: 'hello' } }, { rootUrl: `${process.env.STORAGE_EMULATOR_HOST}/` })
    const { data } = await storage.objects.get({ bucket, object: 'one', alt: 'media' }, { responseType: 'text' })
    assert.equal(data, 'hello')
    assert.equal((await storage.objects.list({ bucket, fields: 'items/name' })).data.items[0].name, 'one')
    await storage.objects.delete({ bucket, object: 'one' })
    await storage.buckets.delete({ bucket })
    await absent(storage.projects.hmacKeys.list({ projectId }))
  })
  await t.test('pubsub', async () => {
    const pubsub = google.pubsub({ version: 'v1', rootUrl: rootUrl(`http://${process.env.PUBSUB_EMULATOR_HOST}`), retry })
    const topic = `projects/${projectId}/topics/${unique}-api`
    await pubsub.projects.topics.create({ name: topic, requestBody: {} })
    await pubsub.projects.topics.publish({ topic, requestBody: { messages: [{ data: 'aGk=' }] } })
    await pubsub.projects.topics.delete({ topic })
    await absent(pubsub.projects.schemas.list({ parent: `projects/${projectId}` }))
  })
  await t.test('ml', async () => {
    const ml = google.ml({ version: 'v1', rootUrl: rootUrl(backend.href), retry })
    assert.ok((await ml.projects.jobs.list({ parent: `projects/${projectId}` })).data)
    await assert.rejects(ml.projects.jobs.get({ name: `projects/${projectId}/jobs/none` }), { status: 404 })
    await assert.rejects(ml.projects.jobs.create({ parent: `projects/${projectId}`, requestBody: { jobId: 'x' } }), { status: 400 })
    await absent(ml.projects.models.list({ parent: `projects/${projectId}` }))
  })
  await t.test('aiplatform', async () => {
    const api = google.aiplatform({ version: 'v1', rootUrl: rootUrl(backend.href), retry })
    const { data } = await api.projects.locations.customJobs.list({ parent, pageSize: 1 })
    assert.equal(data.customJobs.length, 1)
    await absent(api.projects.locations.endpoints.list({ parent }))
  })
  await t.test('logging', async () => {
    const api = google.logging({ version: 'v2', rootUrl: rootUrl(backend.href), retry })
    const { data } = await api.entries.list({
      requestBody: { resourceNames: [`projects/${projectId}`], filter: `resource.labels.job_id="${lines.get('rest')}"` },
    })
    assert.ok(data.entries.length > 0)
    await absent(api.projects.sinks.list({ parent: `projects/${projectId}` }))
  })
})

test('cloudevents', async () => {
  const pubsub = new PubSub({ projectId })
  const [subscription] = await pubsub.topic(process.env.JOBDROP_TOPIC)
    .createSubscription(`${unique}-events`, { filter: `attributes."ce-subject" = "${unique}"` })
  const message = once(subscription, 'message')
  await new Storage({ projectId }).bucket(process.env.JOBDROP_INBOX).file(`${unique}/job.yaml`).save('no: job', { resumable: false })
  const [m] = await message
  m.ack()
  await subscription.close()
  await subscription.delete()
  await pubsub.close()
  const event = HTTP.toEvent({ headers: m.attributes, body: String(m.data) })
  event.validate()
  assert.equal(event.type, 'dev.jobdrop.drop.rejected.v1')
  assert.equal(event.subject, unique)
  assert.equal(event.data.state, 'rejected')
})
