CREATE TABLE "maesn_sync"."paces" (
	"scope" text PRIMARY KEY NOT NULL,
	"state" jsonb NOT NULL
);
