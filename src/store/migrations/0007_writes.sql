CREATE TABLE "maesn_sync"."writes" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "maesn_sync"."writes_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"connection_id" text NOT NULL,
	"idempotency_key" text NOT NULL,
	"operation" text NOT NULL,
	"parameters" jsonb NOT NULL,
	"subject" text NOT NULL,
	"body" text,
	"hash" text NOT NULL,
	"state" text DEFAULT 'waiting' NOT NULL,
	"outcome" text,
	"sends" integer DEFAULT 0 NOT NULL,
	"first_sent_at" timestamp with time zone,
	"sent_at" timestamp with time zone,
	"task_id" text,
	"task_since" timestamp with time zone,
	"resource" text,
	"record_key" text,
	"created" boolean DEFAULT false NOT NULL,
	"answer" text,
	"because" text,
	"actor" text NOT NULL,
	"batch_id" text,
	"started_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"changed_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "writes_connection_id_idempotency_key_unique" UNIQUE("connection_id","idempotency_key")
);
--> statement-breakpoint
ALTER TABLE "maesn_sync"."writes" ADD CONSTRAINT "writes_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "writes_batch" ON "maesn_sync"."writes" USING btree ("connection_id","batch_id","id") WHERE batch_id is not null;--> statement-breakpoint
CREATE UNIQUE INDEX "writes_created" ON "maesn_sync"."writes" USING btree ("connection_id","resource","record_key") WHERE created;--> statement-breakpoint
CREATE INDEX "writes_open" ON "maesn_sync"."writes" USING btree ("connection_id","subject","id") WHERE state <> 'ended';--> statement-breakpoint
CREATE INDEX "writes_undecided" ON "maesn_sync"."writes" USING btree ("id") WHERE state = 'undecided';