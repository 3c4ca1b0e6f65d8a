/** The two users of each role that the embedded identity provider knows. Their passwords are not asked for. */
type IdentityPerson = { subject: string; name: string; role: IdentityRole; collarNumber: string }

const names = {
  officer: ['PC1001 Amira Hassan', 'PC1002 Ben Okafor'],
  investigator: ['DC2001 Carys Morgan', 'DC2002 Dev Patel'],
  disclosure: ['S3001 Elin Sørensen', 'S3002 Fergus Kerr'],
  supervisor: ['PS4001 Grace Adeyemi', 'PS4002 Harry Lowe'],
  retention: ['S5001 Imogen Clarke', 'S5002 Jakub Nowak'],
  auditor: ['S6001 Kezia Brown', 'S6002 Liam Walsh'],
  admin: ['S7001 Mei Lin', 'S7002 Noor Rahman'],
} as const

export type IdentityRole = keyof typeof names

export const isIdentityRole = (text: string): text is IdentityRole => Object.hasOwn(names, text)

/** `officer-1`, `officer-2`, … */
export const subjectOf = (role: IdentityRole, which: number): string => `${role}-${which}`

export const people: ReadonlyMap<string, IdentityPerson> = new Map(
  Object.entries(names).flatMap(([role, both]) =>
    both.flatMap((text, index): [string, IdentityPerson][] => {
      if (!isIdentityRole(role)) return []
      const [collarNumber = '', ...name] = text.split(' ')
      const subject = subjectOf(role, index + 1)
      return [[subject, { subject, name: name.join(' '), role, collarNumber }]]
    }),
  ),
)
