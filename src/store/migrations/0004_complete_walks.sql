CREATE TABLE "maesn_sync"."pass_pages" (
	"connection_id" text NOT NULL,
	"resource" text NOT NULL,
	"phase" text NOT NULL,
	"page" integer NOT NULL,
	"keys" jsonb NOT NULL,
	"rows" jsonb,
	CONSTRAINT "pass_pages_connection_id_resource_phase_page_pk" PRIMARY KEY("connection_id","resource","phase","page")
);
--> statement-breakpoint
ALTER TABLE "maesn_sync"."cursors" ADD COLUMN "pass" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "maesn_sync"."cursors" ADD COLUMN "pass_started_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "maesn_sync"."cursors" ADD COLUMN "phase" text DEFAULT 'pages' NOT NULL;--> statement-breakpoint
ALTER TABLE "maesn_sync"."cursors" ADD COLUMN "total_changed" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "maesn_sync"."cursors" ADD COLUMN "fingerprint" text;--> statement-breakpoint
ALTER TABLE "maesn_sync"."cursors" ADD COLUMN "previous_fingerprint" text;--> statement-breakpoint
ALTER TABLE "maesn_sync"."cursors" ADD COLUMN "full_at" timestamp with time zone;--> statement-breakpoint
ALTER TABLE "maesn_sync"."cursors" ADD COLUMN "verified" boolean;--> statement-breakpoint
ALTER TABLE "maesn_sync"."cursors" ADD COLUMN "deleted" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "maesn_sync"."records" ADD COLUMN "added_at" timestamp with time zone DEFAULT now() NOT NULL;--> statement-breakpoint
ALTER TABLE "maesn_sync"."pass_pages" ADD CONSTRAINT "pass_pages_connection_id_connections_id_fk" FOREIGN KEY ("connection_id") REFERENCES "maesn_sync"."connections"("id") ON DELETE cascade ON UPDATE no action;