import { type Kysely, sql } from 'kysely'

export const oldestCode = 1

export const up = async (db: Kysely<unknown>): Promise<void> => {
  await sql`
    create table recordings (
      id uuid primary key,
      upload uuid not null unique references uploads,
      dock uuid not null references docks,
      camera text not null references cameras,
      filename text not null, size bigint not null, sha256 text,
      recorded_at timestamptz not null, clock_offset double precision, corrected_at timestamptz not null,
      received_at timestamptz not null,
      status text not null check (status in ('received', 'verified', 'active', 'quarantined', 'due', 'grace', 'erased')),
      quarantined_because text check (quarantined_because in ('digest-mismatch', 'parts-mismatch', 'discarded')),
      duplicate_of uuid references recordings,
      flags text[] not null default '{}',
      category text, incident text, number bigint, sequence text,
      duration double precision, tracks jsonb not null default '[]', facts jsonb not null default '{}',
      media_type text,
      object_version text,
      constraint verified_has_digest check (status not in ('verified', 'active') or sha256 is not null),
      constraint verified_has_version check (status not in ('verified', 'active') or object_version is not null)
    )`.execute(db)
  // One recording per camera, size and digest: the first verified wins, in the database too.
  await sql`
    create unique index recordings_file on recordings (camera, size, sha256)
    where status in ('verified', 'active', 'due', 'grace', 'erased') and duplicate_of is null`.execute(db)
  await sql`create index recordings_newest on recordings (recorded_at desc, id desc)`.execute(db)
  await sql`create index recordings_camera on recordings (camera, recorded_at desc, id desc)`.execute(db)
  await sql`create index recordings_number on recordings (camera, number)`.execute(db)
  await sql`create index recordings_alike on recordings (camera, size, sha256)`.execute(db)
  // What a receipt was signed over never changes again, whoever asks; nor does it leave custody by way of another status.
  await sql`
    create function guard_original() returns trigger language plpgsql as $$
    begin
      if (old.status in ('verified', 'active', 'due', 'grace', 'erased') or exists (select from receipts where upload = old.upload))
        and ((new.sha256, new.object_version, new.size, new.upload, new.camera, new.filename, new.recorded_at, new.received_at, new.duplicate_of)
          is distinct from (old.sha256, old.object_version, old.size, old.upload, old.camera, old.filename, old.recorded_at, old.received_at, old.duplicate_of)
          or new.status = 'received'
          or new.quarantined_because = 'discarded')
      then raise exception 'an original in custody is write-once' using errcode = 'insufficient_privilege'; end if;
      return new;
    end $$`.execute(db)
  await sql`create trigger write_once before update on recordings for each row execute function guard_original()`.execute(
    db,
  )
  await sql`grant select, insert, update on recordings to exhibit_app`.execute(db)
}
