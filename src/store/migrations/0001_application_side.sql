CREATE TABLE "maesn_sync"."events" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "maesn_sync"."events_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"connection_id" text NOT NULL,
	"type" text NOT NULL,
	"occasion" text NOT NULL,
	"data" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"delivered_at" timestamp with time zone,
	"attempts" integer DEFAULT 0 NOT NULL,
	"last_error" text,
	CONSTRAINT "events_connection_id_type_occasion_unique" UNIQUE("connection_id","type","occasion")
);
--> statement-breakpoint
CREATE TABLE "maesn_sync"."hints" (
	"connection_id" text NOT NULL,
	"resource" text NOT NULL,
	"since" timestamp with time zone DEFAULT now() NOT NULL,
	"events" integer DEFAULT 1 NOT NULL,
	CONSTRAINT "hints_connection_id_resource_pk" PRIMARY KEY("connection_id","resource")
);
--> statement-breakpoint
CREATE TABLE "maesn_sync"."holds" (
	"connection_id" text NOT NULL,
	"kind" text NOT NULL,
	"placed_by" text NOT NULL,
	"reason" text NOT NULL,
	"since" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "holds_connection_id_kind_pk" PRIMARY KEY("connection_id","kind")
);
--> statement-breakpoint
CREATE TABLE "maesn_sync"."journal" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "maesn_sync"."journal_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"connection_id" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL,
	"actor" text NOT NULL,
	"action" text NOT NULL,
	"detail" jsonb DEFAULT '{}'::jsonb NOT NULL,
	"occasion" text,
	CONSTRAINT "journal_connection_id_action_occasion_unique" UNIQUE("connection_id","action","occasion")
);
--> statement-breakpoint
CREATE TABLE "maesn_sync"."logins" (
	"state_hash" text PRIMARY KEY NOT NULL,
	"connection_id" text NOT NULL,
	"asked_for_by" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	"expires_at" timestamp with time zone NOT NULL,
	"used_at" timestamp with time zone,
	"outcome" text
);
--> statement-breakpoint
CREATE TABLE "maesn_sync"."webhook_subscriptions" (
	"token_hash" text PRIMARY KEY NOT NULL,
	"connection_id" text NOT NULL,
	"event_type" text NOT NULL,
	"webhook_resource" text NOT NULL,
	"maesn_id" text,
	"secret" text,
	"expires_at" timestamp with time zone,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
INSERT INTO "maesn_sync"."events" ("connection_id", "type", "occasion", "created_at", "delivered_at")
	SELECT "connection_id", "type", "occasion", "created_at", "created_at" FROM "maesn_sync"."notices" ORDER BY "id";--> statement-breakpoint
DROP TABLE "maesn_sync"."notices";--> statement-breakpoint
ALTER TABLE "maesn_sync"."connections" ALTER COLUMN "account_key" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "maesn_sync"."records" ADD COLUMN "deleted_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "maesn_sync"."events" ADD CONSTRAINT "events_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "maesn_sync"."hints" ADD CONSTRAINT "hints_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "maesn_sync"."holds" ADD CONSTRAINT "holds_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "maesn_sync"."logins" ADD CONSTRAINT "logins_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "maesn_sync"."webhook_subscriptions" ADD CONSTRAINT "webhook_subscriptions_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "events_undelivered" ON "maesn_sync"."events" USING btree ("connection_id","id") WHERE delivered_at is null;--> statement-breakpoint
CREATE INDEX "journal_connection_id_id_index" ON "maesn_sync"."journal" USING btree ("connection_id","id");--> statement-breakpoint
CREATE INDEX "webhook_subscriptions_connection_id_index" ON "maesn_sync"."webhook_subscriptions" USING btree ("connection_id");--> statement-breakpoint
CREATE INDEX "records_connection_id_resource_modified_at_index" ON "maesn_sync"."records" USING btree ("connection_id","resource","modified_at");