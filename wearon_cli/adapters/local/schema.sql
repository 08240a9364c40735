-- The platform's tables, as far as this worker touches them, for --local.
-- Times are UTC in ISO 8601 with microseconds, so that their order is that of the text.

CREATE TABLE users (
    id text PRIMARY KEY
);

CREATE TABLE stores (
    id text PRIMARY KEY,
    shop_domain text NOT NULL UNIQUE,
    billing_mode text NOT NULL DEFAULT 'absorb_mode'
        CHECK (billing_mode IN ('absorb_mode', 'resell_mode')),
    subscription_tier text,
    subscription_id text,
    subscription_status text,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive'))
);

CREATE TABLE generation_sessions (
    id text PRIMARY KEY,
    user_id text NOT NULL REFERENCES users (id),
    status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'pending', 'processing', 'completed', 'failed')),
    model_image_url text NOT NULL,
    outfit_image_url text,
    accessories text,
    stitched_image_url text,
    prompt_system text NOT NULL,
    prompt_user text,
    generated_image_url text,
    credits_used integer NOT NULL DEFAULT 1,
    error_message text,
    processing_time_ms integer,
    created_at text NOT NULL,
    completed_at text,
    input_tokens integer,
    output_tokens integer,
    estimated_cost_usd real
);
CREATE INDEX generation_sessions_open ON generation_sessions (status, created_at);
CREATE INDEX generation_sessions_newest ON generation_sessions (created_at, id);

CREATE TABLE store_generation_sessions (
    id text PRIMARY KEY,
    store_id text NOT NULL REFERENCES stores (id),
    shopper_email text,
    request_id text,
    status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'processing', 'completed', 'failed')),
    model_image_url text NOT NULL,
    outfit_image_url text,
    prompt_system text NOT NULL,
    prompt_user text,
    generated_image_url text,
    credits_used integer NOT NULL DEFAULT 1,
    error_message text,
    processing_time_ms integer,
    created_at text NOT NULL,
    completed_at text,
    input_tokens integer,
    output_tokens integer,
    estimated_cost_usd real
);
CREATE INDEX store_generation_sessions_open ON store_generation_sessions (status, created_at);
CREATE INDEX store_generation_sessions_newest ON store_generation_sessions (created_at, id);
CREATE INDEX store_generation_sessions_request
    ON store_generation_sessions (store_id, request_id);

CREATE TABLE user_credits (
    user_id text NOT NULL UNIQUE REFERENCES users (id),
    balance integer NOT NULL DEFAULT 0 CHECK (balance >= 0),
    total_earned integer NOT NULL DEFAULT 0,
    total_spent integer NOT NULL DEFAULT 0
);

CREATE TABLE credit_transactions (
    user_id text NOT NULL REFERENCES users (id),
    amount integer NOT NULL,
    type text NOT NULL CHECK (type IN ('signup_bonus', 'generation', 'refund')),
    description text,
    created_at text NOT NULL
);
CREATE INDEX credit_transactions_user ON credit_transactions (user_id);

CREATE TABLE store_credits (
    store_id text NOT NULL UNIQUE REFERENCES stores (id),
    balance integer NOT NULL DEFAULT 0 CHECK (balance >= 0),
    total_purchased integer NOT NULL DEFAULT 0,
    total_spent integer NOT NULL DEFAULT 0
);

CREATE TABLE store_shopper_credits (
    store_id text NOT NULL REFERENCES stores (id),
    shopper_email text NOT NULL,
    balance integer NOT NULL DEFAULT 0 CHECK (balance >= 0),
    total_purchased integer NOT NULL DEFAULT 0,
    total_spent integer NOT NULL DEFAULT 0,
    UNIQUE (store_id, shopper_email)
);

CREATE TABLE store_credit_transactions (
    store_id text NOT NULL REFERENCES stores (id),
    amount integer NOT NULL,
    type text NOT NULL
        CHECK (type IN ('deduction', 'refund', 'purchase', 'subscription', 'overage')),
    request_id text,
    description text,
    created_at text NOT NULL,
    UNIQUE (store_id, request_id, type)
);
