CREATE SCHEMA IF NOT EXISTS "maesn_sync";
--> statement-breakpoint
CREATE TABLE "maesn_sync"."connections" (
	"id" text PRIMARY KEY NOT NULL,
	"target_system" text NOT NULL,
	"company_id" text,
	"environment_name" text,
	"fiscal_year_start_date" text,
	"status" text DEFAULT 'active' NOT NULL,
	"account_key" text NOT NULL,
	"key_version" integer DEFAULT 1 NOT NULL,
	"refused_version" integer DEFAULT 0 NOT NULL,
	"reauthorization_round" integer DEFAULT 0 NOT NULL,
	"awaiting_since" timestamp with time zone,
	"announced" boolean DEFAULT false NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL
);
--> statement-breakpoint
CREATE TABLE "maesn_sync"."cursors" (
	"connection_id" text NOT NULL,
	"resource" text NOT NULL,
	"walk_id" text NOT NULL,
	"walk_started_at" timestamp with time zone NOT NULL,
	"walk_since" timestamp with time zone,
	"next_page" integer DEFAULT 1 NOT NULL,
	"total_pages" integer,
	"total_records" integer,
	"pages" integer DEFAULT 0 NOT NULL,
	"records" integer DEFAULT 0 NOT NULL,
	"flagged" integer DEFAULT 0 NOT NULL,
	"completed_at" timestamp with time zone,
	"watermark" timestamp with time zone,
	CONSTRAINT "cursors_connection_id_resource_pk" PRIMARY KEY("connection_id","resource")
);
--> statement-breakpoint
CREATE TABLE "maesn_sync"."notices" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "maesn_sync"."notices_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"connection_id" text NOT NULL,
	"type" text NOT NULL,
	"occasion" text NOT NULL,
	"created_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "notices_connection_id_type_occasion_unique" UNIQUE("connection_id","type","occasion")
);
--> statement-breakpoint
CREATE TABLE "maesn_sync"."records" (
	"connection_id" text NOT NULL,
	"resource" text NOT NULL,
	"key" text NOT NULL,
	"record" jsonb NOT NULL,
	"modified_at" timestamp with time zone,
	"hash" text NOT NULL,
	"problems" jsonb,
	"synced_at" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "records_connection_id_resource_key_pk" PRIMARY KEY("connection_id","resource","key")
);
--> statement-breakpoint
CREATE TABLE "maesn_sync"."waiting_workflows" (
	"connection_id" text NOT NULL,
	"workflow_id" text NOT NULL,
	"round" integer NOT NULL,
	"since" timestamp with time zone DEFAULT now() NOT NULL,
	CONSTRAINT "waiting_workflows_connection_id_workflow_id_pk" PRIMARY KEY("connection_id","workflow_id")
);
--> statement-breakpoint
ALTER TABLE "maesn_sync"."cursors" ADD CONSTRAINT "cursors_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "maesn_sync"."notices" ADD CONSTRAINT "notices_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "maesn_sync"."records" ADD CONSTRAINT "records_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "maesn_sync"."waiting_workflows" ADD CONSTRAINT "waiting_workflows_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "notices_created_at_index" ON "maesn_sync"."notices" USING btree ("created_at");