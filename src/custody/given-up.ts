import { Problem, type ProblemCode } from '../base/problem.ts'

/**
 * Why footage of this status, whose taking in was given up, is not to be had as it was asked for. Before its receipt there is
 * nothing to be had of it at all; `code` is the answer after it, when the original is.
 */
export const whyGivenUp = (
  status: 'received' | 'verified',
  code: ProblemCode = 'conflict',
  footage = 'The footage',
): Problem =>
  status === 'received'
    ? new Problem(
        'conflict',
        `${footage} has arrived and could not be taken into custody yet: trying was given up. An administrator can have it tried again; until then nothing of it can be had.`,
      )
    : new Problem(
        code,
        `${footage} could not be examined: trying was given up. An administrator can have it tried again. The original is in custody and can be downloaded.`,
      )
