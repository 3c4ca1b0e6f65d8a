/** Why nothing was recovered, in words for an operator. */
export class NotRecovered extends Error {}
