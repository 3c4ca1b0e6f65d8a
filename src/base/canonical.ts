import canonicalize from 'canonicalize'

export type Json = string | number | boolean | null | Json[] | { [member: string]: Json | undefined }

/** RFC 8785 canonical JSON. Members that are undefined are left out. Throws on lone surrogates and non-finite numbers. */
export const canonical = (value: Json): string => {
  const text = canonicalize(value)
  if (text === undefined) throw new TypeError('this value has no JSON form')
  return text
}
