CREATE TABLE aimd_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE cursor (
    source character varying NOT NULL,
    stream character varying NOT NULL,
    tenant character varying NOT NULL,
    partition character varying NOT NULL,
    watermark character varying,
    completed_at double precision NOT NULL,
    expected bigint NOT NULL,
    listing_began_at double precision,
    listing_full boolean,
    listing_page_cursor text,
    listing_candidate character varying,
    listing_pages bigint,
    listing_records bigint
);
CREATE TABLE evidence (
    id bigint NOT NULL,
    source character varying NOT NULL,
    stream character varying NOT NULL,
    tenant character varying NOT NULL,
    partition character varying NOT NULL,
    external_id character varying NOT NULL,
    version integer NOT NULL,
    sha256 character varying NOT NULL,
    body text NOT NULL,
    form character varying NOT NULL,
    deleted boolean NOT NULL,
    collected_at double precision NOT NULL,
    base_url character varying NOT NULL,
    credential character varying NOT NULL,
    run_id character varying NOT NULL
);
CREATE TABLE evidence_current (
    source character varying NOT NULL,
    stream character varying NOT NULL,
    tenant character varying NOT NULL,
    partition character varying NOT NULL,
    external_id character varying NOT NULL,
    version integer NOT NULL,
    sha256 character varying NOT NULL,
    deleted boolean NOT NULL,
    seen_at double precision NOT NULL
);
CREATE SEQUENCE evidence_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE evidence_id_seq OWNED BY evidence.id;
CREATE TABLE limiter (
    id bigint NOT NULL,
    api character varying NOT NULL,
    scope character varying NOT NULL,
    quota_key character varying NOT NULL,
    rate double precision NOT NULL,
    ceiling double precision NOT NULL,
    next_slot double precision NOT NULL,
    cooldown_until double precision NOT NULL,
    generation bigint NOT NULL,
    throttles bigint NOT NULL,
    updated_at double precision NOT NULL,
    learner text NOT NULL
);
CREATE TABLE limiter_history (
    limiter_id bigint NOT NULL,
    seq bigint NOT NULL,
    at double precision NOT NULL,
    kind integer NOT NULL,
    rate_before double precision NOT NULL,
    rate_after double precision NOT NULL,
    ceiling double precision NOT NULL,
    retry_after double precision,
    status integer,
    cooldown_until double precision NOT NULL,
    run_id bytea
);
CREATE SEQUENCE limiter_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE limiter_id_seq OWNED BY limiter.id;
CREATE TABLE sync_run (
    id character varying NOT NULL,
    flow_run_id character varying,
    source character varying NOT NULL,
    tenant character varying NOT NULL,
    started_at double precision NOT NULL,
    ended_at double precision,
    state character varying NOT NULL,
    asked json NOT NULL,
    outcome json NOT NULL
);
CREATE TABLE vendor_token (
    issuer character varying NOT NULL,
    client_id character varying NOT NULL,
    serial bigint NOT NULL,
    sealed bytea,
    given_at double precision NOT NULL,
    renew_at double precision NOT NULL,
    lease character varying NOT NULL,
    lease_until double precision NOT NULL,
    mints json NOT NULL
);
ALTER TABLE ONLY evidence ALTER COLUMN id SET DEFAULT nextval('evidence_id_seq'::regclass);
ALTER TABLE ONLY limiter ALTER COLUMN id SET DEFAULT nextval('limiter_id_seq'::regclass);
INSERT INTO aimd_version VALUES ('0002');
INSERT INTO cursor VALUES ('notion', 'pages', 'acme', '', '2023-11-14T22:13:20Z', 1700086415.25, 2, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO cursor VALUES ('notion', 'rows', 'acme', '{"data_source":"x"}', NULL, 1700086415.25, 1, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO cursor VALUES ('vanta', 'people', 'acme', '', NULL, 0, 0, 1700086415.25, true, NULL, NULL, 0, 0);
INSERT INTO evidence VALUES (1, 'notion', 'pages', 'acme', '', 'a', 1, 'e2e557498c1d71d2dc357c72fdc86fa0b8a04f4717fc3a1a152ffa00eaf3a90d', '{"id":"a","value":1}', 'json-sorted-utf8-1', false, 1700000015.25, 'https://api.notion.com/v1', 'sha256:0a1b', 'run-1');
INSERT INTO evidence VALUES (2, 'notion', 'pages', 'acme', '', 'b', 1, '42a4258c3d15a263aacdddd94584a61ebbacf5ee677949fd55ca000bb101f8ee', '{"id":"b","value":"ü 😀"}', 'json-sorted-utf8-1', false, 1700000015.25, 'https://api.notion.com/v1', 'sha256:0a1b', 'run-1');
INSERT INTO evidence VALUES (3, 'notion', 'pages', 'acme', '', 'c', 1, '19f108a0cd7714be56d83fc3c36b4308a7b4be6318b116799014dc9e2acca6e2', '{"id":"c","value":null}', 'json-sorted-utf8-1', false, 1700000015.25, 'https://api.notion.com/v1', 'sha256:0a1b', 'run-1');
INSERT INTO evidence VALUES (4, 'notion', 'pages', 'acme', '', 'a', 2, 'c20f07e420fb2314b3d7413118ae997ccfa7b5ab22c329e2b4d110b6b80a824c', '{"id":"a","value":2}', 'json-sorted-utf8-1', false, 1700086415.25, 'https://api.notion.com/v1', 'sha256:0a1b', 'run-1');
INSERT INTO evidence VALUES (5, 'notion', 'pages', 'acme', '', 'b', 2, '74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b', 'null', 'json-sorted-utf8-1', true, 1700086415.25, 'https://api.notion.com/v1', 'sha256:0a1b', 'run-1');
INSERT INTO evidence VALUES (6, 'notion', 'rows', 'acme', '{"data_source":"x"}', 'r1', 1, 'c510f8f0c3abb658a722b32bbd9526ab640f7c2d25453b248b0c9658f3b88eb9', '{"id":"r1","value":{"deep":[1.5]}}', 'json-sorted-utf8-1', false, 1700086415.25, 'https://api.notion.com/v1', 'sha256:0a1b', 'run-1');
INSERT INTO evidence_current VALUES ('notion', 'pages', 'acme', '', 'a', 2, 'c20f07e420fb2314b3d7413118ae997ccfa7b5ab22c329e2b4d110b6b80a824c', false, 1700086415.25);
INSERT INTO evidence_current VALUES ('notion', 'pages', 'acme', '', 'c', 1, '19f108a0cd7714be56d83fc3c36b4308a7b4be6318b116799014dc9e2acca6e2', false, 1700086415.25);
INSERT INTO evidence_current VALUES ('notion', 'pages', 'acme', '', 'b', 2, '74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b', true, 0);
INSERT INTO evidence_current VALUES ('notion', 'rows', 'acme', '{"data_source":"x"}', 'r1', 1, 'c510f8f0c3abb658a722b32bbd9526ab640f7c2d25453b248b0c9658f3b88eb9', false, 1700086415.25);
INSERT INTO limiter VALUES (1, 'notion', 'default', 'default', 3.5, 4.25, 1700000007.75, 1700000038.25, 0, 7, 1700000000.25, '{"v":1,"delivered":12,"since":0.0,"hold_until":0.0,"trusted":0.0,"cut_at":0.0,"outage_since":0.0,"rounds":0,"recorded_rate":0.0,"faults":0,"fault_at":0.0,"open_until":0.0,"quota":0.0,"quota_left":0.0,"quota_until":0.0,"quota_window":0.0}');
INSERT INTO limiter VALUES (2, 'vanta', 'default', 'acme', 7, 4.25, 1700000015.25, 1700000045.75, 0, 7, 1700000007.75, '{"v":1,"delivered":12,"since":0.0,"hold_until":0.0,"trusted":0.0,"cut_at":0.0,"outage_since":0.0,"rounds":0,"recorded_rate":0.0,"faults":0,"fault_at":0.0,"open_until":0.0,"quota":0.0,"quota_left":0.0,"quota_until":0.0,"quota_window":0.0}');
INSERT INTO limiter_history VALUES (1, 1, 1700000001.75, 0, 3, 3.5, 4.25, 12.5, 429, 1700000032.25, '\x0000000000000000000000000000000072756e2d31');
INSERT INTO limiter_history VALUES (1, 2, 1700000003.25, 1, 3, 3.5, 4.25, 12.5, 429, 1700000033.75, '\x0000000000000000000000000000000072756e2d31');
INSERT INTO limiter_history VALUES (1, 3, 1700000004.75, 2, 3, 3.5, 4.25, 12.5, 429, 1700000035.25, '\x0000000000000000000000000000000072756e2d31');
INSERT INTO limiter_history VALUES (1, 4, 1700000006.25, 3, 3, 3.5, 4.25, 12.5, 429, 1700000036.75, '\x0000000000000000000000000000000072756e2d31');
INSERT INTO limiter_history VALUES (1, 5, 1700000007.75, 4, 3, 3.5, 4.25, 12.5, 429, 1700000038.25, '\x0000000000000000000000000000000072756e2d31');
INSERT INTO limiter_history VALUES (2, 1, 1700000009.25, 0, 3, 7, 4.25, 12.5, 429, 1700000039.75, '\x0000000000000000000000000000000072756e2d32');
INSERT INTO limiter_history VALUES (2, 2, 1700000010.75, 1, 3, 7, 4.25, 12.5, 429, 1700000041.25, '\x0000000000000000000000000000000072756e2d32');
INSERT INTO limiter_history VALUES (2, 3, 1700000012.25, 2, 3, 7, 4.25, 12.5, 429, 1700000042.75, '\x0000000000000000000000000000000072756e2d32');
INSERT INTO limiter_history VALUES (2, 4, 1700000013.75, 3, 3, 7, 4.25, 12.5, 429, 1700000044.25, '\x0000000000000000000000000000000072756e2d32');
INSERT INTO limiter_history VALUES (2, 5, 1700000015.25, 4, 3, 7, 4.25, 12.5, 429, 1700000045.75, '\x0000000000000000000000000000000072756e2d32');
INSERT INTO sync_run VALUES ('run-1', 'flow-run-1', 'notion', 'acme', 1700086415.25, 1700086419.25, 'complete', '{"streams": ["pages", "rows"], "params": {"data_source": "x"}, "full": false}', '{"requests": 4}');
INSERT INTO vendor_token VALUES ('https://api.vanta.com/oauth/token', 'client-1', 3, '\x7365616c6564', 1700086419.25, 1700089919.25, '', 0, '[1700086398.75, 1700086419.25]');
SELECT pg_catalog.setval('evidence_id_seq', 6, true);
SELECT pg_catalog.setval('limiter_id_seq', 2, true);
ALTER TABLE ONLY aimd_version
    ADD CONSTRAINT aimd_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY cursor
    ADD CONSTRAINT cursor_pkey PRIMARY KEY (source, stream, tenant, partition);
ALTER TABLE ONLY evidence_current
    ADD CONSTRAINT evidence_current_pkey PRIMARY KEY (source, stream, tenant, partition, external_id);
ALTER TABLE ONLY evidence
    ADD CONSTRAINT evidence_pkey PRIMARY KEY (id);
ALTER TABLE ONLY evidence
    ADD CONSTRAINT evidence_source_stream_tenant_partition_external_id_version_key UNIQUE (source, stream, tenant, partition, external_id, version);
ALTER TABLE ONLY limiter
    ADD CONSTRAINT limiter_api_scope_quota_key_key UNIQUE (api, scope, quota_key);
ALTER TABLE ONLY limiter_history
    ADD CONSTRAINT limiter_history_pkey PRIMARY KEY (limiter_id, seq);
ALTER TABLE ONLY limiter
    ADD CONSTRAINT limiter_pkey PRIMARY KEY (id);
ALTER TABLE ONLY sync_run
    ADD CONSTRAINT sync_run_pkey PRIMARY KEY (id);
ALTER TABLE ONLY vendor_token
    ADD CONSTRAINT vendor_token_pkey PRIMARY KEY (issuer, client_id);
CREATE INDEX sync_run_by_start ON sync_run USING btree (started_at);
ALTER TABLE ONLY limiter_history
    ADD CONSTRAINT limiter_history_limiter_id_fkey FOREIGN KEY (limiter_id) REFERENCES limiter(id);
