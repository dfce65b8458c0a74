ALTER TABLE "maesn_sync"."cursors" ADD COLUMN "process" text;--> statement-breakpoint
ALTER TABLE "maesn_sync"."cursors" ADD COLUMN "task_token" text;--> statement-breakpoint
CREATE INDEX "cursors_attempts" ON "maesn_sync"."cursors" USING btree ("process") WHERE completed_at is null and task_token is not null;