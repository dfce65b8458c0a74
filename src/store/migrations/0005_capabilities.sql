CREATE TABLE "maesn_sync"."capabilities" (
	"connection_id" text NOT NULL,
	"resource" text NOT NULL,
	"supported" boolean NOT NULL,
	"reason" jsonb,
	"key_version" integer NOT NULL,
	"checked_at" timestamp with time zone DEFAULT now() NOT NULL,
	"recheck_at" timestamp with time zone,
	"offered_at" timestamp with time zone,
	CONSTRAINT "capabilities_connection_id_resource_pk" PRIMARY KEY("connection_id","resource")
);
--> statement-breakpoint
CREATE TABLE "maesn_sync"."incidents" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "maesn_sync"."incidents_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"kind" text NOT NULL,
	"target_system" text,
	"opened_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_seen_at" timestamp with time zone DEFAULT now() NOT NULL,
	"closed_at" timestamp with time zone,
	"connections" integer NOT NULL,
	"announced" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
CREATE TABLE "maesn_sync"."outcomes" (
	"connection_id" text PRIMARY KEY NOT NULL,
	"outcome" text NOT NULL,
	"at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "maesn_sync"."warnings" (
	"connection_id" text NOT NULL,
	"resource" text NOT NULL,
	"text" text NOT NULL,
	"count" integer NOT NULL,
	"first_at" timestamp with time zone DEFAULT now() NOT NULL,
	"last_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "warnings_connection_id_resource_text_pk" PRIMARY KEY("connection_id","resource","text")
);
--> statement-breakpoint
ALTER TABLE "maesn_sync"."events" ALTER COLUMN "connection_id" DROP NOT NULL;--> statement-breakpoint
ALTER TABLE "maesn_sync"."events" ADD COLUMN "incident_id" bigint;--> statement-breakpoint
ALTER TABLE "maesn_sync"."capabilities" ADD CONSTRAINT "capabilities_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "maesn_sync"."outcomes" ADD CONSTRAINT "outcomes_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "maesn_sync"."warnings" ADD CONSTRAINT "warnings_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE UNIQUE INDEX "incidents_open" ON "maesn_sync"."incidents" USING btree ("kind",coalesce("target_system", '')) WHERE closed_at is null;--> statement-breakpoint
CREATE INDEX "outcomes_at_index" ON "maesn_sync"."outcomes" USING btree ("at");--> statement-breakpoint
CREATE UNIQUE INDEX "events_of_no_connection" ON "maesn_sync"."events" USING btree ("type","occasion") WHERE connection_id is null;