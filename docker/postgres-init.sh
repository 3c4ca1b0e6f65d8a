#!/bin/sh
# Run once by the postgres image, when its data folder is made: the two roles, their database, and the identity provider's.
set -eu
psql --set=ON_ERROR_STOP=1 --username="${POSTGRES_USER:-postgres}" --dbname=postgres \
  --set=owner="$DATABASE_OWNER_PASSWORD" --set=app="$DATABASE_APP_PASSWORD" --set=identity="$IDENTITY_DATABASE_PASSWORD" <<'SQL'
create role exhibit_owner login password :'owner';
create role exhibit_app login password :'app';
create role keycloak login password :'identity';
create database exhibit owner exhibit_owner;
create database keycloak owner keycloak;
revoke all on database exhibit, keycloak from public;
grant connect on database exhibit to exhibit_app;
\connect exhibit
-- The one extension in use that an ordinary owner may not create.
create extension if not exists earthdistance cascade;
SQL
