-- Who may do what in hubsync's PostgreSQL database. Run once, as a superuser, in that
-- database; running it again changes nothing:
--
--     psql --dbname app_db --file deploy/roles.sql
--     psql --command "alter role hubsync_sync password '…'"
--
-- hubsync_sync         hubsync's own user (PGUSER): creates and owns its schemas, and
--                      may do nothing else.
-- hubsync_app_reader   reads app:                        grant hubsync_app_reader to app_user;
-- hubsync_analyst      reads hubspot_raw, hubspot, ops:  grant hubsync_analyst to ann;
--                      for app as well:  grant hubsync_app_reader to ann;
--
-- Where schema app and its tables were there before hubsync, the sync role needs more:
--     alter table app.customers owner to hubsync_sync;   -- each table that it is to fill

do $$
declare
    role text;
begin
    foreach role in array
        array['hubsync_sync', 'hubsync_app_reader', 'hubsync_analyst']
    loop
        if not exists (select from pg_roles where rolname = role) then
            execute format('create role %I', role);
        end if;
        execute format('grant connect on database %I to %I', current_database(), role);
    end loop;
    execute format('grant create, temporary on database %I to hubsync_sync', current_database());
end $$;

alter role hubsync_sync with
    login nosuperuser nocreatedb nocreaterole noreplication nobypassrls;

-- Those that others read are made here, so that what hubsync makes in them later is
-- readable from its first moment. Schemas for itself alone it makes by itself.
create schema if not exists app authorization hubsync_sync;
create schema if not exists hubspot_raw authorization hubsync_sync;
create schema if not exists hubspot authorization hubsync_sync;
create schema if not exists ops authorization hubsync_sync;
grant usage, create on schema app to hubsync_sync;

grant usage on schema app to hubsync_app_reader;
grant select on all tables in schema app to hubsync_app_reader;
alter default privileges for role hubsync_sync in schema app
    grant select on tables to hubsync_app_reader;

grant usage on schema hubspot_raw, hubspot, ops to hubsync_analyst;
grant select on all tables in schema hubspot_raw, hubspot, ops to hubsync_analyst;
alter default privileges for role hubsync_sync in schema hubspot_raw, hubspot, ops
    grant select on tables to hubsync_analyst;
