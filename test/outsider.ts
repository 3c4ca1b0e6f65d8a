import { readFile } from 'node:fs/promises'
import { expect } from 'vitest'

/** `log.py` of docs/verify.md: what an outsider runs, with nothing of ours. */
export const outsiderProgram = async (): Promise<string> => {
  const page = await readFile(new URL('../docs/verify.md', import.meta.url), 'utf8')
  const script = /```python\n(import base64, hashlib.*?)```/s.exec(page)?.[1]
  if (script === undefined) throw new Error('docs/verify.md has no such program')
  expect(script.split('\n').length).toBeLessThanOrEqual(101)
  return script
}
