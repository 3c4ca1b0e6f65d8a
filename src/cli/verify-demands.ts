import { Failure } from './failure.ts'

/** The checks that can be demanded beside the signature. */
export type Demands = { file?: string; proof?: string; entry?: string; witness?: string[] }
type Demand = keyof Demands
export type VerifyOptions = Demands & { key?: string; json?: true }

export const goesWith: Record<Demand, string> = {
  file: 'a receipt',
  proof: 'a receipt or a proof of erasure',
  entry: 'a proof of the log',
  witness: 'a bundle, a proof of the log, or --proof',
}

/** Why a check cannot be made, unless another is demanded too. */
type Unmet = { because: string; unless?: Demand }
type Answers = Record<Demand, 'met' | Unmet>

const receipt: Answers = {
  file: 'met',
  proof: 'met',
  entry: { because: 'a receipt states the leaf of its entry itself.' },
  witness: { because: 'witnesses sign heads of the log, and a receipt has none.', unless: 'proof' },
}

/** Every pair is here, so that no check is passed over in silence. */
const answers = {
  bundle: {
    file: { because: 'a bundle holds its files itself.' },
    proof: { because: 'a bundle carries its proofs itself.' },
    entry: { because: 'a bundle carries its entries itself.' },
    witness: 'met',
  },
  receipt,
  erasure: {
    file: { because: 'what was erased is nowhere.' },
    proof: 'met',
    entry: { because: 'a proof of erasure states the leaf of its entry itself.' },
    witness: { because: 'witnesses sign heads of the log, and a proof of erasure has none.', unless: 'proof' },
  },
  sidecar: {
    file: { because: 'a sidecar is checked with the objects that lie beside it.' },
    proof: { because: 'a sidecar states many leaves, each to be held against the log by itself.' },
    entry: { because: 'a sidecar has its entries itself.' },
    witness: { because: 'witnesses sign heads of the log, and a sidecar has none.' },
  },
  proof: {
    file: { because: 'a proof of the log is about an entry, not about a file.' },
    proof: { because: 'a proof of the log is checked by itself, or with --entry.' },
    entry: 'met',
    witness: 'met',
  },
  // What is none of these fails as a receipt, whatever was demanded.
  other: { ...receipt, entry: { because: 'this is none.' } },
} satisfies Record<string, Answers>

export type Given = keyof typeof answers

const isDemand = (name: string): name is Demand => Object.hasOwn(goesWith, name)

/** Throws Failure, which names every check that was demanded and cannot be made of what was given. */
export const refuseUnmet = (given: Given, demands: Demands): void => {
  const answersHere: Answers = answers[given]
  const unmet = Object.keys(goesWith)
    .filter(isDemand)
    .flatMap((demand) => {
      const answer = answersHere[demand]
      if (demands[demand] === undefined || answer === 'met') return []
      if (answer.unless !== undefined && demands[answer.unless] !== undefined) return []
      return [`--${demand} goes with ${goesWith[demand]}: ${answer.because}`]
    })
  if (unmet.length > 0) throw new Failure(unmet.join(' '))
}

/** Of two, commander would keep the last in silence. */
export const once =
  (name: string) =>
  (value: string, earlier: string | undefined): string => {
    if (earlier === undefined) return value
    throw new Failure(`--${name} was given twice, and only one of them would be looked at.`)
  }
