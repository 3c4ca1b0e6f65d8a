import { sql } from 'kysely'
import type { Db } from '../../engines/postgres.ts'

const app = 'exhibit_app'

export type TableRow = { name: string; kind: string; secured: boolean; ruled: boolean; hidden: boolean }

export const tableRows = async (db: Db, names: readonly string[]): Promise<TableRow[]> => {
  const { rows } = await sql<TableRow>`
    select relname as name, relkind::text as kind, relrowsecurity as secured,
      exists (select from pg_rewrite where ev_class = pg_class.oid) as ruled,
      to_regclass(quote_ident(relname)) is distinct from pg_class.oid::regclass as hidden
    from pg_class where relnamespace = 'public'::regnamespace and relname = any(${names}::text[])`.execute(db)
  return rows
}

/** The partitions of `entries` with their bounds as text; both null for one that takes all the rest. */
export const partitionRows = async (db: Db) => {
  const { rows } = await sql<{ name: string; from: string | null; to: string | null }>`
    select relname as name,
      substring(pg_get_expr(relpartbound, pg_class.oid) from 'FROM \\(''([0-9a-f-]{36})''\\)') as from,
      substring(pg_get_expr(relpartbound, pg_class.oid) from 'TO \\(''([0-9a-f-]{36})''\\)') as to
    from pg_inherits join pg_class on pg_class.oid = inhrelid
    where inhparent = 'public.entries'::regclass and not inhdetachpending order by 2, 1`.execute(db)
  return rows
}

export type TriggerRow = { on: string; name: string; type: number; calls: string; state: string; narrowed: boolean }

export const triggerRows = async (db: Db, tables: readonly string[]): Promise<TriggerRow[]> => {
  const { rows } = await sql<TriggerRow>`
    select relname as on, tgname as name, tgtype::int as type, tgenabled::text as state,
      case when pronamespace = 'public'::regnamespace then proname else pronamespace::regnamespace || '.' || proname end as calls,
      tgqual is not null or tgattr <> '' or tgnargs > 0 as narrowed
    from pg_trigger join pg_class on pg_class.oid = tgrelid join pg_proc on pg_proc.oid = tgfoid
    where relnamespace = 'public'::regnamespace and relname = any(${tables}::text[]) and not tgisinternal
    order by relname, tgname`.execute(db)
  return rows
}

/** The settings under which triggers do not fire, wherever they are set; empty where they do. */
export const triggerSettings = async (db: Db): Promise<string[]> => {
  const { rows } = await sql<{ at: string }>`
    select 'for role ' || coalesce(nullif(setrole, 0)::regrole::text, 'all') as at
    from pg_db_role_setting, unnest(setconfig) as setting
    where setting like 'session_replication_role=%' and setting <> 'session_replication_role=origin'
      and setdatabase in (0, (select oid from pg_database where datname = current_database()))
    union all select 'in the server' where current_setting('session_replication_role') <> 'origin'`.execute(db)
  return rows.map(({ at }) => at)
}

type FunctionRow = { name: string; source: string; definer: boolean; settings: string[] | null; open: boolean }

export const functionRows = async (db: Db, names: readonly string[]): Promise<FunctionRow[]> => {
  const { rows } = await sql<FunctionRow>`
    select proname as name, prosrc as source, prosecdef as definer, proconfig as settings,
      exists (select from aclexplode(coalesce(proacl, acldefault('f', proowner))) where grantee = 0) as open
    from pg_proc where pronamespace = 'public'::regnamespace and proname = any(${names}::text[])`.execute(db)
  return rows
}

export type Right = { who: string; on: string; right: string }

/** What the application may do, by whichever way it came to it, and what others than the owner were given. Not reading. */
export const rightRows = async (db: Db, tables: readonly string[]): Promise<Right[]> => {
  const { rows } = await sql<Right>`
    with guarded as (
      select oid, relname, relowner, relacl from pg_class
      where relnamespace = 'public'::regnamespace and relname = any(${tables}::text[])
    ), rights as (
      select oid, relname, may from guarded, unnest(array['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER']) as may
    ), given as (
      select relname, relowner, grantee, privilege_type as may from guarded, aclexplode(relacl)
      union all
      select relname, relowner, grantee, privilege_type || ' (' || attname || ')'
      from guarded join pg_attribute on attrelid = guarded.oid, aclexplode(attacl)
    )
    select ${app} as who, relname as on, may as right from rights where has_table_privilege(${app}, oid, may)
    union all
    select ${app}, relname, may || ' (' || attname || ')'
    from rights join pg_attribute on attrelid = oid and attnum > 0 and not attisdropped
    where may in ('INSERT', 'UPDATE') and not has_table_privilege(${app}, oid, may) and has_column_privilege(${app}, oid, attnum, may)
    union all
    select case grantee when 0 then 'public' else grantee::regrole::text end, relname, may from given
    where grantee not in (relowner, ${app}::regrole) and may not like 'SELECT%'
    order by 1, 2, 3`.execute(db)
  return rows
}

/** What makes the application's role more than a role that was given some rights. */
export const roleFaults = async (db: Db): Promise<string[]> => {
  const { rows } = await sql<{ fault: string }>`
    select fault from pg_roles, unnest(array[
      case when rolsuper then 'is a superuser' end,
      case when rolreplication then 'may replicate' end,
      case when rolcreaterole then 'may make roles' end,
      case when not rolsuper and pg_has_role(oid, (select relowner from pg_class where oid = 'public.entries'::regclass), 'member')
        then 'is a member of the owner' end
    ]) as fault where rolname = ${app} and fault is not null`.execute(db)
  return rows.map(({ fault }) => fault)
}

export const derivedColumns = async (db: Db): Promise<Map<string, string>> => {
  const { rows } = await sql<{ name: string; expression: string }>`
    select attname as name, pg_get_expr(adbin, adrelid) as expression
    from pg_attribute join pg_attrdef on adrelid = attrelid and adnum = attnum
    where attrelid = 'public.entry_bodies'::regclass and attgenerated = 's'`.execute(db)
  return new Map(rows.map(({ name, expression }) => [name, expression]))
}
