import { it } from 'vitest'
import { execFileSync, execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { connect } from 'node:net'
import { writeFileSync } from 'node:fs'
import { startTestApi } from '/work/main/test/api.ts'
it('big', async () => {
  const test = await startTestApi()
  const body = Buffer.alloc(64 * 1024 * 1024)
  writeFileSync('/tmp/big.bin', body)
  const seen: Record<string, number> = {}
  const count = (k: string) => { seen[k] = (seen[k] ?? 0) + 1 }
  const url = `${test.api.url}/api/v1/uploads/0199b0c4-7d2e-7b1a-8f0e-3c5d6e7f8091`
  for (let n = 0; n < 15; n++) {
    const r = await fetch(url, { method: 'PATCH', body, headers: { 'content-type': 'application/offset+octet-stream' } }).then((x) => String(x.status), (e) => `${e} ${e.cause?.code}`)
    count(`fetch ${r}`)
  }
  const curl = promisify(execFile)
  for (let n = 0; n < 5; n++) {
    const a = await curl('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code} %{size_upload}', '-X', 'PATCH', '--data-binary', '@/tmp/big.bin', '-H', 'content-type: application/offset+octet-stream', url]).catch((e) => ({ stdout: 'exit ' + e.code }))
    count(`curl ${a.stdout}`)
    const b = await curl('curl', ['-s', '-o', '/dev/null', '-w', '%{http_code} %{size_upload}', '-H', 'Expect:', '-X', 'PATCH', '--data-binary', '@/tmp/big.bin', '-H', 'content-type: application/offset+octet-stream', url]).catch((e) => ({ stdout: 'exit ' + e.code }))
    count(`curl-noexpect ${b.stdout}`)
  }
  const token = await test.issuer.tokenFor('admin')
  for (let n = 0; n < 20; n++) {
    const r = await fetch(`${test.api.url}/api/v1/cameras`, { method: 'POST', body: body.subarray(0, 3_000_000), headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } }).then((x) => String(x.status), (e) => `${e} ${e.cause?.code}`)
    count(`json ${r}`)
  }
  console.log(seen)
  const t0 = performance.now()
  const u = new URL(test.api.url)
  for (const first of ['', 'GET /api/v1/me HTTP/1.1\r\nhost: x\r\n']) {
    const s = connect(Number(u.port), u.hostname); s.write(first)
    let text = ''
    for await (const c of s) text += c
    console.log(JSON.stringify(first), Math.round(performance.now() - t0), JSON.stringify(text.slice(0, 80)))
  }
  await test[Symbol.asyncDispose]()
}, 120_000)
