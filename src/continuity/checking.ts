/** How a statement is checked, for a reader who does not trust us. A paragraph each. */

const inCommon = [
  'An entry is canonical JSON (RFC 8785). Its leaf is the SHA-256 of its salt and the entry; the leaf, and nothing else of it, is in the log. Each part of an entry (who, why, to whom, under which rule, what was noted) is kept beside it under a salt of its own, and the entry holds only its seal: the SHA-256 of salt and part. So a part can be withheld, or erased for good, and the entry can still be proven. A seal without its part says nothing of what it was.',
  'The log is a Merkle tree (RFC 6962) whose signed heads are published as C2SP checkpoints: nobody can take a leaf out, change it or put one in between without a head that does not fit those which others hold. Compare the key of the log with one that you did not get from us, and its head with one that somebody else, such as a witness, has seen.',
  'docs/verify.md of the software (Exhibit) describes each step so that it can be done with ordinary tools.',
]

/** For a statement that was asked of an installation: `address` is where its JSON is. */
export const checkOnline = (url: string, address: string): string[] => [
  `This paper is made to be read. The same acts, with what is needed to compute each leaf (entry, salt, and the parts that you may see), are answered as JSON by GET ${address}.`,
  `The proof that a leaf is in the log is answered to anybody by GET ${url}/api/v1/ledger/proofs/ and the id of the entry; the log's head by GET ${url}/api/v1/ledger/checkpoint, its key by GET ${url}/api/v1/ledger/keys.`,
  ...inCommon,
]

/** For a statement inside a bundle, which brings its proofs along. */
export const checkInBundle = (): string[] => [
  'This paper is made to be read. The entries that are disclosed, with what is needed to compute their leaves and the proofs that they are in the log, are in the folder proofs/ of this bundle; README.txt says how to check them by hand, and the page index.html does it in the browser.',
  ...inCommon,
]
