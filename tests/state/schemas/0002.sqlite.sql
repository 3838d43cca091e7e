BEGIN TRANSACTION;
CREATE TABLE aimd_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT aimd_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "aimd_version" VALUES('0002');
CREATE TABLE cursor (
	source VARCHAR NOT NULL, 
	stream VARCHAR NOT NULL, 
	tenant VARCHAR NOT NULL, 
	partition VARCHAR NOT NULL, 
	watermark VARCHAR, 
	completed_at FLOAT NOT NULL, 
	expected BIGINT NOT NULL, 
	listing_began_at FLOAT, 
	listing_full BOOLEAN, 
	listing_page_cursor TEXT, 
	listing_candidate VARCHAR, 
	listing_pages BIGINT, 
	listing_records BIGINT, 
	PRIMARY KEY (source, stream, tenant, partition)
)
 WITHOUT ROWID

;
INSERT INTO "cursor" VALUES('notion','pages','acme','','2023-11-14T22:13:20Z',1700086415.25,2,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "cursor" VALUES('notion','rows','acme','{"data_source":"x"}',NULL,1700086415.25,1,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "cursor" VALUES('vanta','people','acme','',NULL,0.0,0,1700086415.25,1,NULL,NULL,0,0);
CREATE TABLE evidence (
	id INTEGER NOT NULL, 
	source VARCHAR NOT NULL, 
	stream VARCHAR NOT NULL, 
	tenant VARCHAR NOT NULL, 
	partition VARCHAR NOT NULL, 
	external_id VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	sha256 VARCHAR NOT NULL, 
	body TEXT NOT NULL, 
	form VARCHAR NOT NULL, 
	deleted BOOLEAN NOT NULL, 
	collected_at FLOAT NOT NULL, 
	base_url VARCHAR NOT NULL, 
	credential VARCHAR NOT NULL, 
	run_id VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (source, stream, tenant, partition, external_id, version)
);
INSERT INTO "evidence" VALUES(1,'notion','pages','acme','','a',1,'e2e557498c1d71d2dc357c72fdc86fa0b8a04f4717fc3a1a152ffa00eaf3a90d','{"id":"a","value":1}','json-sorted-utf8-1',0,1700000015.25,'https://api.notion.com/v1','sha256:0a1b','run-1');
INSERT INTO "evidence" VALUES(2,'notion','pages','acme','','b',1,'42a4258c3d15a263aacdddd94584a61ebbacf5ee677949fd55ca000bb101f8ee','{"id":"b","value":"ü 😀"}','json-sorted-utf8-1',0,1700000015.25,'https://api.notion.com/v1','sha256:0a1b','run-1');
INSERT INTO "evidence" VALUES(3,'notion','pages','acme','','c',1,'19f108a0cd7714be56d83fc3c36b4308a7b4be6318b116799014dc9e2acca6e2','{"id":"c","value":null}','json-sorted-utf8-1',0,1700000015.25,'https://api.notion.com/v1','sha256:0a1b','run-1');
INSERT INTO "evidence" VALUES(4,'notion','pages','acme','','a',2,'c20f07e420fb2314b3d7413118ae997ccfa7b5ab22c329e2b4d110b6b80a824c','{"id":"a","value":2}','json-sorted-utf8-1',0,1700086415.25,'https://api.notion.com/v1','sha256:0a1b','run-1');
INSERT INTO "evidence" VALUES(5,'notion','pages','acme','','b',2,'74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b','null','json-sorted-utf8-1',1,1700086415.25,'https://api.notion.com/v1','sha256:0a1b','run-1');
INSERT INTO "evidence" VALUES(6,'notion','rows','acme','{"data_source":"x"}','r1',1,'c510f8f0c3abb658a722b32bbd9526ab640f7c2d25453b248b0c9658f3b88eb9','{"id":"r1","value":{"deep":[1.5]}}','json-sorted-utf8-1',0,1700086415.25,'https://api.notion.com/v1','sha256:0a1b','run-1');
CREATE TABLE evidence_current (
	source VARCHAR NOT NULL, 
	stream VARCHAR NOT NULL, 
	tenant VARCHAR NOT NULL, 
	partition VARCHAR NOT NULL, 
	external_id VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	sha256 VARCHAR NOT NULL, 
	deleted BOOLEAN NOT NULL, 
	seen_at FLOAT NOT NULL, 
	PRIMARY KEY (source, stream, tenant, partition, external_id)
)
 WITHOUT ROWID

;
INSERT INTO "evidence_current" VALUES('notion','pages','acme','','a',2,'c20f07e420fb2314b3d7413118ae997ccfa7b5ab22c329e2b4d110b6b80a824c',0,1700086415.25);
INSERT INTO "evidence_current" VALUES('notion','pages','acme','','b',2,'74234e98afe7498fb5daf1f36ac2d78acc339464f950703b8c019892f982b90b',1,0.0);
INSERT INTO "evidence_current" VALUES('notion','pages','acme','','c',1,'19f108a0cd7714be56d83fc3c36b4308a7b4be6318b116799014dc9e2acca6e2',0,1700086415.25);
INSERT INTO "evidence_current" VALUES('notion','rows','acme','{"data_source":"x"}','r1',1,'c510f8f0c3abb658a722b32bbd9526ab640f7c2d25453b248b0c9658f3b88eb9',0,1700086415.25);
CREATE TABLE limiter (
	id INTEGER NOT NULL, 
	api VARCHAR NOT NULL, 
	scope VARCHAR NOT NULL, 
	quota_key VARCHAR NOT NULL, 
	rate FLOAT NOT NULL, 
	ceiling FLOAT NOT NULL, 
	next_slot FLOAT NOT NULL, 
	cooldown_until FLOAT NOT NULL, 
	generation BIGINT NOT NULL, 
	throttles BIGINT NOT NULL, 
	updated_at FLOAT NOT NULL, 
	learner TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (api, scope, quota_key)
);
INSERT INTO "limiter" VALUES(1,'notion','default','default',3.5,4.25,1700000007.75,1700000038.25,0,7,1700000000.25,'{"v":1,"delivered":12,"since":0.0,"hold_until":0.0,"trusted":0.0,"cut_at":0.0,"outage_since":0.0,"rounds":0,"recorded_rate":0.0,"faults":0,"fault_at":0.0,"open_until":0.0,"quota":0.0,"quota_left":0.0,"quota_until":0.0,"quota_window":0.0}');
INSERT INTO "limiter" VALUES(2,'vanta','default','acme',7.0,4.25,1700000015.25,1700000045.75,0,7,1700000007.75,'{"v":1,"delivered":12,"since":0.0,"hold_until":0.0,"trusted":0.0,"cut_at":0.0,"outage_since":0.0,"rounds":0,"recorded_rate":0.0,"faults":0,"fault_at":0.0,"open_until":0.0,"quota":0.0,"quota_left":0.0,"quota_until":0.0,"quota_window":0.0}');
CREATE TABLE limiter_history (
	limiter_id INTEGER NOT NULL, 
	seq BIGINT NOT NULL, 
	at FLOAT NOT NULL, 
	kind INTEGER NOT NULL, 
	rate_before FLOAT NOT NULL, 
	rate_after FLOAT NOT NULL, 
	ceiling FLOAT NOT NULL, 
	retry_after FLOAT, 
	status INTEGER, 
	cooldown_until FLOAT NOT NULL, 
	run_id BLOB, 
	PRIMARY KEY (limiter_id, seq), 
	FOREIGN KEY(limiter_id) REFERENCES limiter (id)
)
 WITHOUT ROWID

;
INSERT INTO "limiter_history" VALUES(1,1,1700000001.75,0,3.0,3.5,4.25,12.5,429,1700000032.25,X'0000000000000000000000000000000072756E2D31');
INSERT INTO "limiter_history" VALUES(1,2,1700000003.25,1,3.0,3.5,4.25,12.5,429,1700000033.75,X'0000000000000000000000000000000072756E2D31');
INSERT INTO "limiter_history" VALUES(1,3,1700000004.75,2,3.0,3.5,4.25,12.5,429,1700000035.25,X'0000000000000000000000000000000072756E2D31');
INSERT INTO "limiter_history" VALUES(1,4,1700000006.25,3,3.0,3.5,4.25,12.5,429,1700000036.75,X'0000000000000000000000000000000072756E2D31');
INSERT INTO "limiter_history" VALUES(1,5,1700000007.75,4,3.0,3.5,4.25,12.5,429,1700000038.25,X'0000000000000000000000000000000072756E2D31');
INSERT INTO "limiter_history" VALUES(2,1,1700000009.25,0,3.0,7.0,4.25,12.5,429,1700000039.75,X'0000000000000000000000000000000072756E2D32');
INSERT INTO "limiter_history" VALUES(2,2,1700000010.75,1,3.0,7.0,4.25,12.5,429,1700000041.25,X'0000000000000000000000000000000072756E2D32');
INSERT INTO "limiter_history" VALUES(2,3,1700000012.25,2,3.0,7.0,4.25,12.5,429,1700000042.75,X'0000000000000000000000000000000072756E2D32');
INSERT INTO "limiter_history" VALUES(2,4,1700000013.75,3,3.0,7.0,4.25,12.5,429,1700000044.25,X'0000000000000000000000000000000072756E2D32');
INSERT INTO "limiter_history" VALUES(2,5,1700000015.25,4,3.0,7.0,4.25,12.5,429,1700000045.75,X'0000000000000000000000000000000072756E2D32');
CREATE TABLE sync_run (
	id VARCHAR NOT NULL, 
	flow_run_id VARCHAR, 
	source VARCHAR NOT NULL, 
	tenant VARCHAR NOT NULL, 
	started_at FLOAT NOT NULL, 
	ended_at FLOAT, 
	state VARCHAR NOT NULL, 
	asked JSON NOT NULL, 
	outcome JSON NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "sync_run" VALUES('run-1','flow-run-1','notion','acme',1700086415.25,1700086419.25,'complete','{"streams": ["pages", "rows"], "params": {"data_source": "x"}, "full": false}','{"requests": 4}');
CREATE TABLE vendor_token (
	issuer VARCHAR NOT NULL, 
	client_id VARCHAR NOT NULL, 
	serial BIGINT NOT NULL, 
	sealed BLOB, 
	given_at FLOAT NOT NULL, 
	renew_at FLOAT NOT NULL, 
	lease VARCHAR NOT NULL, 
	lease_until FLOAT NOT NULL, 
	mints JSON NOT NULL, 
	PRIMARY KEY (issuer, client_id)
)
 WITHOUT ROWID

;
INSERT INTO "vendor_token" VALUES('https://api.vanta.com/oauth/token','client-1',3,X'7365616C6564',1700086419.25,1700089919.25,'',0.0,'[1700086398.75, 1700086419.25]');
CREATE INDEX sync_run_by_start ON sync_run (started_at);
COMMIT;
