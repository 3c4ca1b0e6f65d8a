import type { Db } from '../../engines/postgres.ts'

/** Those of the witnesses whose cosignature of this checkpoint is there. */
export const cosignedBy = async (db: Db, log: number, size: number): Promise<Set<string>> => {
  const query = db.selectFrom('cosignatures').select('witness').where('log', '=', log).where('size', '=', size)
  return new Set((await query.execute()).map(({ witness }) => witness))
}

/** Of the checkpoints that this witness cosigned, how many leaves the largest has. */
export const largestCosigned = async (db: Db, log: number, witness: string): Promise<number> => {
  const query = db.selectFrom('cosignatures').select('size').where('log', '=', log).where('witness', '=', witness)
  return (await query.orderBy('size', 'desc').limit(1).executeTakeFirst())?.size ?? 0
}

/** The size of the log that this witness cosigned last, as far as is known here. */
export const sizeOfWitness = async (db: Db, witness: string, log: number): Promise<number> => {
  const query = db.selectFrom('witnessSizes').select('size').where('witness', '=', witness).where('log', '=', log)
  return (await query.executeTakeFirst())?.size ?? 0
}

/** It may be less than what was known: a witness may have begun anew. */
export const rememberSize = async (db: Db, witness: string, log: number, size: number): Promise<void> => {
  await db
    .insertInto('witnessSizes')
    .values({ witness, log, size })
    .onConflict((oc) => oc.columns(['witness', 'log']).doUpdateSet({ size }))
    .execute()
}

type Cosignature = { log: number; size: number; witness: string; line: string; at: Date }

/** The first cosignature of a witness stays. */
export const insertCosignature = async (db: Db, cosignature: Cosignature): Promise<void> => {
  await db
    .insertInto('cosignatures')
    .values(cosignature)
    .onConflict((oc) => oc.columns(['log', 'size', 'witness']).doNothing())
    .execute()
}
