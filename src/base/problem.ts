/**
 * Every refusal an outsider can meet: its HTTP status, its title, and what to do next. RFC 9457; `code` is stable.
 * Features throw `new Problem(code, detail?)`; only the doors know HTTP.
 */
export const problems = {
  'bad-request': {
    status: 400,
    title: 'The request is not well formed',
    next: 'Correct the request as the detail says.',
  },
  'unknown-digest-algorithm': {
    status: 400,
    title: 'The digest algorithm is not offered',
    next: 'Use sha256 or sha1 in Upload-Checksum.',
  },
  'metadata-invalid': { status: 400, title: 'The upload metadata is not valid', next: 'Correct Upload-Metadata.' },
  'length-invalid': {
    status: 400,
    title: 'The upload length is not valid',
    next: 'Send Upload-Length as a whole number of bytes.',
  },
  'token-needed': { status: 401, title: 'A token is needed', next: 'Send Authorization: Bearer <token>.' },
  'token-invalid': {
    status: 401,
    title: 'The token is not valid',
    next: 'Sign in again, or check the key of the dock.',
  },
  'clock-skew': {
    status: 401,
    title: 'The token is out of its time',
    next: 'Set the clock: serverTime in this answer is the time here.',
  },
  'not-allowed': { status: 403, title: 'This is not allowed for you', next: 'Ask someone whose role may do this.' },
  suspended: { status: 403, title: 'This account is suspended', next: 'Ask an administrator.' },
  'not-found': { status: 404, title: 'There is nothing here', next: 'Check the address.' },
  'camera-unknown': {
    status: 404,
    title: 'The camera is not registered',
    next: 'Ask an administrator to register it.',
  },
  'method-not-allowed': { status: 405, title: 'That method is not offered here', next: 'See /api/docs.' },
  'too-slow': {
    status: 408,
    title: 'The request stood still for too long',
    next: 'Ask with HEAD for the offset, and go on from there. What was acknowledged is kept.',
  },
  conflict: {
    status: 409,
    title: 'This conflicts with what is there',
    next: 'Read the current state and decide again.',
  },
  'offset-mismatch': {
    status: 409,
    title: 'The offset is not where the upload stands',
    next: 'Ask with HEAD for the offset, and go on from there. What was acknowledged is kept.',
  },
  'writer-replaced': {
    status: 409,
    title: 'A newer request took over this upload',
    next: 'Ask with HEAD for the offset if you still hold the file.',
  },
  'not-ready': { status: 409, title: 'This is not ready yet', next: 'Try again after Retry-After.' },
  'not-playable-yet': {
    status: 409,
    title: 'This cannot be played yet',
    next: 'Try again after Retry-After: it is being made ready.',
  },
  'not-playable': {
    status: 409,
    title: 'This cannot be played',
    next: 'The original is kept as it came: download it, or ask someone who may.',
  },
  'reference-taken': {
    status: 409,
    title: 'The reference is taken',
    next: 'Choose another reference.',
  },
  'case-closed': { status: 409, title: 'The case is closed', next: 'Reopen it with a reason, or leave it as it is.' },
  'last-member': {
    status: 409,
    title: 'Somebody has to look after the case',
    next: 'Make another person a member with the role investigator first.',
  },
  'same-person': { status: 409, title: 'A second person is needed', next: 'Ask a colleague to approve it.' },
  'simulation-needed': {
    status: 409,
    title: 'What the policy would do has to be seen first',
    next: 'Simulate the policy, read what it would do, and approve it then.',
  },
  gone: { status: 410, title: 'This has ended', next: 'Announce the file again and start a new upload.' },
  'link-expired': { status: 410, title: 'The address has expired', next: 'Ask for a new download.' },
  'viewing-ended': { status: 410, title: 'The viewing has ended', next: 'Open a new viewing of the recording.' },
  'protocol-version': {
    status: 412,
    title: 'This version of the upload protocol is not offered',
    next: 'Send Tus-Resumable: 1.0.0.',
  },
  'too-large': { status: 413, title: 'This is larger than allowed', next: 'See the detail for the limit.' },
  'media-type': {
    status: 415,
    title: 'The content type is not accepted',
    next: 'See the detail for the one expected.',
  },
  'range-not-satisfiable': {
    status: 416,
    title: 'The range lies outside the file',
    next: 'Ask for a range within its size.',
  },
  quarantined: {
    status: 422,
    title: 'The footage is in quarantine',
    next: 'Keep the file on the camera. A supervisor decides.',
  },
  'upload-incomplete': {
    status: 422,
    title: 'The footage arrived incomplete',
    next: 'Keep the file on the camera and upload it anew.',
  },
  'clip-outside-recording': {
    status: 422,
    title: 'The range lies outside the recording',
    next: 'Ask for a range within its duration.',
  },
  'clip-impossible': {
    status: 422,
    title: 'No clip can be cut from this',
    next: 'The original is kept as it came: download it, or ask someone who may.',
  },
  'exhibit-sensitive': {
    status: 422,
    title: 'Sensitive material does not go into a bundle',
    next: 'Leave it out: it belongs on the sensitive schedule (MG6D), which no bundle holds.',
  },
  erased: { status: 422, title: 'The file was erased', next: 'A supervisor may re-admit it with a reason.' },
  'too-many-requests': { status: 429, title: 'Too many requests', next: 'Try again after Retry-After.' },
  'too-many-uploads': {
    status: 429,
    title: 'Too many uploads are open',
    next: 'Finish or end an open upload first.',
  },
  'too-many-viewings': {
    status: 429,
    title: 'Too many viewings are open',
    next: 'Close one, or wait until one that nobody watches ends by itself.',
  },
  'too-many-clips': {
    status: 429,
    title: 'Too many clips are owed to you',
    next: 'Wait until one of them is ready.',
  },
  'too-many-bundles': {
    status: 429,
    title: 'Too many bundles are owed to you',
    next: 'Wait until one of them is ready.',
  },
  'headers-too-large': { status: 431, title: 'The headers are too large', next: 'Send smaller headers.' },
  'checksum-mismatch': {
    status: 460,
    title: 'The bytes do not match their digest',
    next: 'Send the same bytes again from the same offset. Nothing of this request was kept.',
  },
  internal: {
    status: 500,
    title: 'Something went wrong here',
    next: 'Try again; quote the request id if it persists.',
  },
  'log-damaged': {
    status: 500,
    title: 'The log is damaged where it is stored',
    next: 'This is no mistake of yours. Entries are kept in the database and footage apart from the log: neither is lost with it. Try again when an administrator has mended it with exhibit ledger audit and exhibit ledger recover.',
  },
  'store-unavailable': {
    status: 503,
    title: 'The object store does not answer',
    next: 'What was acknowledged is kept. Try again after Retry-After.',
  },
  'database-unavailable': {
    status: 503,
    title: 'The database does not answer',
    next: 'What was acknowledged is kept. Try again after Retry-After.',
  },
  'issuer-unavailable': {
    status: 503,
    title: 'The issuer of the tokens does not answer',
    next: 'Your token cannot be checked just now. Try again after Retry-After.',
  },
  stopping: { status: 503, title: 'This server is stopping', next: 'Try again; another one takes over.' },
} as const satisfies Record<string, { status: number; title: string; next: string }>

export type ProblemCode = keyof typeof problems

/** Facts that go with a problem. `retryAfter` in seconds; `extra` members join the document; `cause` is for the log only. */
type ProblemFacts = { retryAfter?: number; extra?: Record<string, string | number | boolean>; cause?: unknown }

export class Problem extends Error {
  readonly code: ProblemCode
  readonly detail: string | undefined
  readonly retryAfter: number | undefined
  readonly extra: Record<string, string | number | boolean>
  constructor(code: ProblemCode, detail?: string, facts: ProblemFacts = {}) {
    super(detail ?? problems[code].title, { cause: facts.cause })
    this.name = 'Problem'
    this.code = code
    this.detail = detail
    this.retryAfter = facts.retryAfter
    this.extra = facts.extra ?? {}
  }
}
