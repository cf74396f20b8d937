// Writes what node --test says as go test -json would.
export default async function* reporter(source) {
  let failed = false
  const path = []
  const line = event => JSON.stringify(event) + '\n'
  for await (const { type, data } of source) {
    if (type === 'test:start') {
      path.length = data.nesting
      path.push(data.name.replaceAll(' ', '_'))
    }
    if (type !== 'test:pass' && type !== 'test:fail') continue
    path.length = data.nesting + 1
    const name = path.join('/')
    const pass = type === 'test:pass'
    failed ||= !pass
    if (!pass) yield line({ Action: 'output', Test: name, Output: `${data.details.error.cause?.stack ?? data.details.error.stack}\n` })
    yield line({ Action: data.skip !== undefined ? 'skip' : pass ? 'pass' : 'fail', Test: name })
  }
  yield line({ Action: failed ? 'fail' : 'pass' })
}
