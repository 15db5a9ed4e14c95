-- One row for each address that was ever given out or found in use: what Table holds in memory, by the database's clock.
create table lanboot.leases (
    address    inet primary key check (family(address) = 4 and masklen(address) = 32),
    -- 'left': its client was given another address since. The row stays so that other nodes learn of it by its version.
    state      text not null check (state in ('bound', 'released', 'declined', 'left')),
    -- What tells clients apart: one octet, 0 for the MAC or 1 for the client identifier, and its octets.
    client     bytea unique,
    mac        macaddr,
    client_id  bytea,
    hostname   text,
    granted    timestamptz,
    -- 4294967295 is for ever.
    lease_secs bigint,
    -- Of an address that was left: by whom.
    former     bytea,
    -- When the lease ends or ended, when the address was given back, or until when it is set aside.
    free_from  timestamptz not null,
    -- The session that wrote the row: host name and a number.
    node       text not null,
    version    bigint not null,
    check ((state in ('bound', 'released')) = (num_nonnulls(client, mac, granted, lease_secs) = 4)),
    check ((state in ('declined', 'left')) = (num_nonnulls(client, mac, granted, lease_secs) = 0)),
    check ((state = 'left') = (former is not null))
);

-- For nodes that catch up with what others wrote.
create index leases_version on lanboot.leases (version);

create sequence lanboot.version;

-- The nodes that serve from these leases: by which addresses, and since when this time.
create table lanboot.nodes (
    address    inet primary key,
    host       text not null,
    connected  timestamptz not null
);

-- Carries out one batch of changes, all or nothing.
--
-- One batch after the other, whoever they come from: so versions become visible in their order, and no two nodes ever wait for
-- each other's rows. The constraints above hold all the same against whoever writes without this function.
--
-- p_node: the session that asks. p_now: the time to go by, null for the database's. p_margin: how many seconds an address is left
-- alone after the lease of its last client. p_turns: where in the arrays a turn begins; within a turn no address and no client comes twice.
-- Then one element for each change: its kind ('g' grant, 'r' release, 'd' decline, 'u' unname)
-- and what it needs. p_asked: when it was asked for;
-- it does not undo what was decided later, so that a change that was long on its way does no harm. p_secs is the length of a grant's
-- lease, and of a decline the second since 1970 until which the address is set aside.
--
-- Returns one row per change, in no order: whether it was done; where not, how the address stands.
create function lanboot.change(
    p_node text, p_now timestamptz, p_margin bigint, p_turns integer[],
    p_kind "char"[], p_asked timestamptz[], p_address inet[], p_client bytea[], p_mac macaddr[], p_client_id bytea[], p_hostname text[], p_secs bigint[]
) returns table (
    decided timestamptz, place bigint, done boolean,
    address inet, state text, client bytea, mac macaddr, client_id bytea, hostname text, granted timestamptz, lease_secs bigint,
    free_from timestamptz
)
language plpgsql volatile
-- The plans are made while the table is small and used when it is large.
set enable_seqscan = off
set enable_hashjoin = off
set enable_mergejoin = off
as $$
#variable_conflict use_column
declare
    v_now timestamptz;
    v_first bigint;
    v_done boolean[] := '{}';
    v_ok boolean[];
    v_from integer;
    v_to integer;
begin
    -- "lanboot" in ASCII.
    perform pg_advisory_xact_lock(30506424210517876);
    v_now := coalesce(p_now, clock_timestamp());
    v_first := nextval('lanboot.version');
    for turn in 1 .. cardinality(p_turns) loop
        v_from := p_turns[turn];
        v_to := coalesce(p_turns[turn + 1] - 1, cardinality(p_kind));

        select array_agg(case asked.kind
            when 'g' then
                not exists (
                    select from lanboot.leases held where held.address = asked.address and (
                        held.state = 'bound' and held.client <> asked.client and held.free_from + make_interval(secs => p_margin) > v_now
                        or held.state = 'declined' and held.free_from > v_now
                        -- Left just now: free for others from the next batch on.
                        or held.state = 'left' and held.version > v_first and held.former <> asked.client
                            and held.free_from > v_now))
                and not exists (
                    select from lanboot.leases newer where newer.client = asked.client
                        and newer.address <> asked.address and newer.state = 'bound' and newer.granted > asked.at)
            when 'r' then
                exists (
                    select from lanboot.leases held where held.address = asked.address
                        and held.client = asked.client and held.state = 'bound' and held.granted <= asked.at)
            when 'u' then
                exists (
                    select from lanboot.leases held where held.address = asked.address
                        and held.client = asked.client and held.state = 'bound' and held.hostname is not null)
            else true
            end order by asked.place)
        into v_ok
        from unnest(p_kind[v_from:v_to], p_asked[v_from:v_to], p_address[v_from:v_to], p_client[v_from:v_to])
            with ordinality as asked (kind, at, address, client, place);
        v_done := v_done || v_ok;

        -- Whoever is given a new address leaves the former one.
        update lanboot.leases leaving
        set state = 'left', former = given.client, client = null, mac = null, client_id = null, hostname = null, granted = null,
            lease_secs = null, node = p_node, version = nextval('lanboot.version')
        from unnest(v_ok, p_kind[v_from:v_to], p_address[v_from:v_to], p_client[v_from:v_to]) as given (ok, kind, address, client)
        where given.ok and given.kind = 'g' and leaving.client = given.client and leaving.address <> given.address;

        insert into lanboot.leases as held
            (address, state, client, mac, client_id, hostname, granted, lease_secs, free_from, node, version)
        select given.address, 'bound', given.client, given.mac, given.client_id, given.hostname, v_now, given.secs,
            case given.secs when 4294967295 then 'infinity' else v_now + make_interval(secs => given.secs) end,
            p_node, nextval('lanboot.version')
        from unnest(v_ok, p_kind[v_from:v_to], p_address[v_from:v_to], p_client[v_from:v_to], p_mac[v_from:v_to],
            p_client_id[v_from:v_to], p_hostname[v_from:v_to], p_secs[v_from:v_to])
            as given (ok, kind, address, client, mac, client_id, hostname, secs)
        where given.ok and given.kind = 'g'
        on conflict (address) do update
        set state = excluded.state, client = excluded.client, mac = excluded.mac, client_id = excluded.client_id,
            hostname = excluded.hostname, granted = excluded.granted, lease_secs = excluded.lease_secs, former = null,
            free_from = excluded.free_from, node = excluded.node, version = excluded.version;

        if array_position(p_kind[v_from:v_to], 'r') is not null then
            update lanboot.leases held
            set state = 'released', free_from = least(held.free_from, v_now), node = p_node, version = nextval('lanboot.version')
            from unnest(v_ok, p_kind[v_from:v_to], p_address[v_from:v_to]) as given (ok, kind, address)
            where given.ok and given.kind = 'r' and held.address = given.address;
        end if;

        if array_position(p_kind[v_from:v_to], 'u') is not null then
            update lanboot.leases held
            set hostname = null, node = p_node, version = nextval('lanboot.version')
            from unnest(v_ok, p_kind[v_from:v_to], p_address[v_from:v_to]) as given (ok, kind, address)
            where given.ok and given.kind = 'u' and held.address = given.address;
        end if;

        if array_position(p_kind[v_from:v_to], 'd') is not null then
            insert into lanboot.leases as held (address, state, free_from, node, version)
            select given.address, 'declined', to_timestamp(given.secs), p_node, nextval('lanboot.version')
            from unnest(p_kind[v_from:v_to], p_address[v_from:v_to], p_secs[v_from:v_to]) as given (kind, address, secs)
            where given.kind = 'd'
            on conflict (address) do update
            set state = excluded.state, client = null, mac = null, client_id = null, hostname = null, granted = null,
                lease_secs = null, former = null, free_from = excluded.free_from, node = excluded.node, version = excluded.version;
        end if;
    end loop;

    perform pg_notify('lanboot_leases', p_node);

    return query
    select v_now, asked.place, asked.ok, held.address, held.state, coalesce(held.client, held.former), held.mac, held.client_id,
        held.hostname, held.granted, held.lease_secs, held.free_from
    from unnest(v_done, p_address) with ordinality as asked (ok, address, place)
    left join lanboot.leases held on not asked.ok and held.address = asked.address;
end
$$;
