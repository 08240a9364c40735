-- The platform's schema, as far as the worker touches it: same tables, constraints, functions,
-- grants and row level security. Written for the tests; the platform owns the real one.

CREATE ROLE anon NOLOGIN;
CREATE ROLE authenticated NOLOGIN;
CREATE ROLE service_role NOLOGIN BYPASSRLS;
CREATE ROLE authenticator LOGIN NOINHERIT;
GRANT anon, authenticated, service_role TO authenticator;

CREATE SCHEMA auth;
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid
$$;

-- ------------------------------------------------------------------ owners

CREATE TABLE public.users (
    id uuid PRIMARY KEY,
    email text UNIQUE -- taken to be there: what was told of the platform does not say
);

CREATE TABLE public.stores (
    id uuid PRIMARY KEY,
    shop_domain text NOT NULL UNIQUE,
    billing_mode text NOT NULL DEFAULT 'absorb_mode'
        CHECK (billing_mode IN ('absorb_mode', 'resell_mode')),
    subscription_tier text,
    subscription_id text,
    subscription_status text,
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'inactive'))
);

-- ------------------------------------------------------------------ sessions

CREATE TABLE public.generation_sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES public.users (id),
    status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'pending', 'processing', 'completed', 'failed')),
    model_image_url text NOT NULL,
    outfit_image_url text,
    accessories jsonb,
    stitched_image_url text,
    prompt_system text NOT NULL,
    prompt_user text,
    generated_image_url text,
    credits_used int DEFAULT 1,
    error_message text,
    processing_time_ms int,
    created_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    input_tokens int,
    output_tokens int,
    estimated_cost_usd numeric(10, 6)
);

CREATE TABLE public.store_generation_sessions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    store_id uuid NOT NULL REFERENCES public.stores (id),
    shopper_email text,
    request_id text,
    status text NOT NULL DEFAULT 'queued'
        CHECK (status IN ('queued', 'processing', 'completed', 'failed')),
    model_image_url text NOT NULL,
    outfit_image_url text,
    prompt_system text NOT NULL,
    prompt_user text,
    generated_image_url text,
    credits_used int DEFAULT 1,
    error_message text,
    processing_time_ms int,
    created_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    input_tokens int,
    output_tokens int,
    estimated_cost_usd numeric(10, 6)
);

CREATE PUBLICATION supabase_realtime
    FOR TABLE public.generation_sessions, public.store_generation_sessions;

-- ------------------------------------------------------------------ credits

CREATE TABLE public.user_credits (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL UNIQUE REFERENCES public.users (id),
    balance int NOT NULL DEFAULT 0 CHECK (balance >= 0),
    total_earned int NOT NULL DEFAULT 0,
    total_spent int NOT NULL DEFAULT 0
);

CREATE TABLE public.credit_transactions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id uuid NOT NULL REFERENCES public.users (id),
    amount int NOT NULL,
    type text NOT NULL CHECK (type IN ('signup_bonus', 'generation', 'refund')),
    description text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

CREATE TABLE public.store_credits (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    store_id uuid NOT NULL UNIQUE REFERENCES public.stores (id),
    balance int NOT NULL DEFAULT 0 CHECK (balance >= 0),
    total_purchased int NOT NULL DEFAULT 0,
    total_spent int NOT NULL DEFAULT 0
);

CREATE TABLE public.store_shopper_credits (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    store_id uuid NOT NULL REFERENCES public.stores (id),
    shopper_email text NOT NULL,
    balance int NOT NULL DEFAULT 0 CHECK (balance >= 0),
    total_purchased int NOT NULL DEFAULT 0,
    total_spent int NOT NULL DEFAULT 0,
    UNIQUE (store_id, shopper_email)
);

CREATE TABLE public.store_credit_transactions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    store_id uuid NOT NULL REFERENCES public.stores (id),
    amount int NOT NULL,
    type text NOT NULL
        CHECK (type IN ('deduction', 'refund', 'purchase', 'subscription', 'overage')),
    request_id text,
    description text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (store_id, request_id, type)
);

-- ------------------------------------------------------------------ functions

CREATE FUNCTION public.require_positive(p_amount int) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF p_amount IS NULL OR p_amount <= 0 THEN
        RAISE EXCEPTION 'amount must be above 0';
    END IF;
END $$;

CREATE FUNCTION public.deduct_credits(p_user_id uuid, p_amount int, p_description text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM public.require_positive(p_amount);
    UPDATE public.user_credits
        SET balance = balance - p_amount, total_spent = total_spent + p_amount
        WHERE user_id = p_user_id AND balance >= p_amount;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO public.credit_transactions (user_id, amount, type, description)
        VALUES (p_user_id, -p_amount, 'generation', p_description);
    RETURN true;
END $$;

CREATE FUNCTION public.refund_credits(p_user_id uuid, p_amount int, p_description text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM public.require_positive(p_amount);
    INSERT INTO public.credit_transactions (user_id, amount, type, description)
        VALUES (p_user_id, p_amount, 'refund', p_description);
    INSERT INTO public.user_credits AS c (user_id, balance) VALUES (p_user_id, p_amount)
        ON CONFLICT (user_id) DO UPDATE SET balance = c.balance + p_amount;
END $$;

CREATE FUNCTION public.deduct_store_credits(
    p_store_id uuid, p_amount int, p_request_id text, p_description text
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM public.require_positive(p_amount);
    UPDATE public.store_credits
        SET balance = balance - p_amount, total_spent = total_spent + p_amount
        WHERE store_id = p_store_id AND balance >= p_amount;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO public.store_credit_transactions
        (store_id, amount, type, request_id, description)
        VALUES (p_store_id, -p_amount, 'deduction', p_request_id, p_description);
    RETURN true;
END $$;

CREATE FUNCTION public.refund_store_credits(
    p_store_id uuid, p_amount int, p_request_id text, p_description text
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM public.require_positive(p_amount);
    INSERT INTO public.store_credit_transactions
        (store_id, amount, type, request_id, description)
        VALUES (p_store_id, p_amount, 'refund', p_request_id, p_description);
    INSERT INTO public.store_credits AS c (store_id, balance) VALUES (p_store_id, p_amount)
        ON CONFLICT (store_id) DO UPDATE SET balance = c.balance + p_amount;
END $$;

CREATE FUNCTION public.deduct_store_shopper_credits(
    p_store_id uuid, p_shopper_email text, p_amount int, p_request_id text, p_description text
) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_email text := lower(trim(p_shopper_email));
BEGIN
    PERFORM public.require_positive(p_amount);
    UPDATE public.store_shopper_credits
        SET balance = balance - p_amount, total_spent = total_spent + p_amount
        WHERE store_id = p_store_id AND shopper_email = v_email AND balance >= p_amount;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    INSERT INTO public.store_credit_transactions
        (store_id, amount, type, request_id, description)
        VALUES (p_store_id, -p_amount, 'deduction', p_request_id,
                p_description || ' (shopper=' || v_email || ')');
    RETURN true;
END $$;

CREATE FUNCTION public.refund_store_shopper_credits(
    p_store_id uuid, p_shopper_email text, p_amount int, p_request_id text, p_description text
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_email text := lower(trim(p_shopper_email));
BEGIN
    PERFORM public.require_positive(p_amount);
    UPDATE public.store_shopper_credits
        SET balance = balance + p_amount
        WHERE store_id = p_store_id AND shopper_email = v_email;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'store % has no shopper %', p_store_id, v_email;
    END IF;
    INSERT INTO public.store_credit_transactions
        (store_id, amount, type, request_id, description)
        VALUES (p_store_id, p_amount, 'refund', p_request_id,
                p_description || ' (shopper=' || v_email || ')');
END $$;

-- ------------------------------------------------------------------ who may do what

GRANT USAGE ON SCHEMA public, auth TO anon, authenticated, service_role;
GRANT ALL ON ALL TABLES IN SCHEMA public TO anon, authenticated, service_role;
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO service_role;

-- Users read their own rows; service_role passes by the policies. The store's session table has no
-- row level security on the platform either: see the contract.
ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.users FOR SELECT USING (id = auth.uid());
ALTER TABLE public.generation_sessions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.generation_sessions FOR SELECT USING (user_id = auth.uid());
ALTER TABLE public.user_credits ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.user_credits FOR SELECT USING (user_id = auth.uid());
ALTER TABLE public.credit_transactions ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.credit_transactions FOR SELECT USING (user_id = auth.uid());
ALTER TABLE public.store_credits ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.store_shopper_credits ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.store_credit_transactions ENABLE ROW LEVEL SECURITY;

CREATE INDEX ON public.credit_transactions (user_id);
CREATE INDEX ON public.generation_sessions (status, created_at);
CREATE INDEX ON public.store_generation_sessions (status, created_at);
CREATE INDEX ON public.store_generation_sessions (store_id, request_id);
