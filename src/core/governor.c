/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "governor_impl.h"

#define MARGIN_DOWN 0.85 /* of what is allowed */
#define MARGIN_UP 0.6
#define MARGIN_UP_OF_WINDOWS 0.75 /* to have probes always in is worth more */
#define TOO_MUCH 0.5		  /* where nothing limits it: as much as the target itself */
#define SAMPLED_USUAL 2		  /* the rung of 512 KiB */
/* Times that stand for what is allowed in them: */
#define SAVED_NS NS_PER_S	/* enough to begin a window with, if it is not dear */
#define SLACK_NS (NS_PER_S / 2) /* how much worse the account may get after a step */
#define PAYBACK_NS (10 * NS_PER_S)
#define MIN_WINDOW_NS (NS_PER_S / 20)
#define NEXT_LOOK_NS (NS_PER_S / 10) /* and what must be there for a window to go on */
#define MIN_PAUSE_NS (NS_PER_S / 2)
#define QUIETER 0.5 /* of the CPU time that was used before */
#define MAX_PAUSE_NS (60 * NS_PER_S)
#define DETACH_NS (NS_PER_S / 1000)
#define MIN_SEEN_NS (NS_PER_S / 5) /* with probes in, to judge by */
#define HOLD_MIN_NS NS_PER_S
#define HOLD_MAX_NS (300 * NS_PER_S)
#define LASTS 3 /* a step up is good if it lasts so many times hold */
#define COUNT_MIN_NS (2 * NS_PER_S)
#define COUNT_MAX_NS (60 * NS_PER_S)
#define MEMORY_UP 0.8 /* of max_memory, below which there is room */

/* --- moving --------------------------------------------------------------------------------------- */

static void describe(const struct governor *g, enum step_why why, struct governor_step *out)
{
	double cpus = g->attached ? g->cpus : g->idle_cpus, duty = 1000,
	       allowed = CREDITED * g->options.max_overhead * cpus * NS_PER_S,
	       expected = governor_expected_ns(g, NS_PER_S);

	if (governor_is_windows(g) && g->options.max_overhead && expected > allowed)
		duty = 1000 * allowed / expected;
	*out = (struct governor_step){
		.mode = g->rung[g->at].mode,
		.why = why,
		.period_bytes = g->rung[g->at].period_bytes,
		.duty_permille = duty < 1 ? 1 : (uint32_t)duty,
		.overhead_ppm = (uint32_t)(g->overhead * 1e6),
		.attached = g->attached,
	};
}

static void turn(struct governor *g, bool attached)
{
	if (attached == g->attached)
		return;
	if (attached)
		g->window_cpus = governor_expected_ns(g, NS_PER_S) / NS_PER_S;
	g->attached = attached;
	g->turned_ns = g->time_ns;
	g->open_ns = 0;
	if (!attached)
		governor_note_then(g, g->last_base, g->last_cpus);
}

/* Did the last step up last? */
static void judge_rise(struct governor *g)
{
	if (!g->rose_ns)
		return;
	if (g->time_ns - g->rose_ns < LASTS * g->hold_ns)
		g->hold_ns = g->hold_ns < HOLD_MAX_NS / 2 ? 2 * g->hold_ns : HOLD_MAX_NS;
	else
		g->hold_ns = g->hold_ns > 2 * HOLD_MIN_NS ? g->hold_ns / 2 : HOLD_MIN_NS;
	g->rose_ns = 0;
}

static void move(struct governor *g, unsigned int to)
{
	bool was_always_in = governor_is_always_in(g, g->at);

	if (to < g->at)
		g->rose_ns = g->time_ns;
	else
		judge_rise(g);
	g->at = to;
	g->steps++;
	g->rising_ns = 0;
	g->pause_ns = NS_PER_S;
	g->tolerated_ns =
		(g->account_ns < 0 ? g->account_ns : 0) - governor_allowed_ns(g, SLACK_NS);
	/* without probes they have not been seen yet */
	if (was_always_in)
		g->idle_cpus = g->last_cpus;
	/* windows begin with a pause */
	turn(g, governor_is_always_in(g, to));
	if (!governor_sees_calls(g, to)) {
		g->count_pause_ns = g->hold_ns > COUNT_MIN_NS ? g->hold_ns : COUNT_MIN_NS;
		g->count_ns = g->time_ns + g->count_pause_ns;
	}
}

/* After seep itself was too large it grows by one rung at a time: what the next one takes is not known. */
static unsigned int one_at_a_time(const struct governor *g, unsigned int to)
{
	return g->pressed_ns && to + 1 < g->at ? g->at - 1 : to;
}

/* There is room for rung `to`, or not. Moves there when it has been so for long enough. */
static bool rise(struct governor *g, unsigned int to, uint64_t seen_ns)
{
	if (to >= g->at) {
		g->rising_ns = 0;
		return false;
	}
	if (!g->rising_ns) {
		g->rising_ns = g->time_ns;
		g->seen_ns = 0;
		g->rises_to = to;
	}
	if (to > g->rises_to)
		g->rises_to = to;
	g->seen_ns += seen_ns;
	if (g->time_ns - g->rising_ns < g->hold_ns || g->seen_ns < MIN_SEEN_NS)
		return false;
	move(g, one_at_a_time(g, g->rises_to));
	return true;
}

/* --- a tick --------------------------------------------------------------------------------------- */

static enum step_why own_pressure(const struct governor *g, const struct governor_input *in)
{
	const struct governor_options *o = &g->options;

	if (o->max_memory_bytes && in->own_memory_bytes > o->max_memory_bytes)
		return STEP_OVER_MEMORY;
	if (o->max_cpu && g->own_cpus > o->max_cpu && g->time_ns - g->start_ns >= PATIENCE_NS)
		return STEP_OVER_CPU;
	return 0;
}

/* The account that something richer is paid from. */
static double pays(const struct governor *g)
{
	bool is_busy = governor_at_least(g->cpus, 1) == g->cpus;

	return is_busy && g->strict_ns < g->account_ns ? g->strict_ns : g->account_ns;
}

static bool has_room(const struct governor *g, const struct governor_input *in)
{
	const struct governor_options *o = &g->options;

	if (o->max_memory_bytes &&
	    (double)in->own_memory_bytes > MEMORY_UP * (double)o->max_memory_bytes)
		return false;
	if (o->max_cpu && g->own_cpus > MARGIN_UP * o->max_cpu)
		return false;
	return !o->max_overhead || pays(g) >= -governor_allowed_ns(g, DEBT_NS);
}

static bool press_down(struct governor *g, const struct governor_input *in, enum step_why *why)
{
	*why = own_pressure(g, in);
	if (!*why || g->at == g->nr_rungs - 1)
		return false;
	if (g->pressed_ns && g->time_ns - g->pressed_ns < PATIENCE_NS)
		return false;
	g->pressed_ns = g->time_ns;
	move(g, g->at + 1);
	return true;
}

/* The rung for a target that has overdrawn its account; at least the next one. */
static unsigned int lower_rung(const struct governor *g, const struct governor_rates *r)
{
	double limit = g->options.max_overhead * MARGIN_DOWN;
	unsigned int to;

	limit += g->account_ns / PAYBACK_NS / governor_at_least(g->cpus, 1);
	to = governor_best(g, r, limit);
	return to > g->at ? to : g->at + 1;
}

/* May a window open that is not paid for? It will not cost much, but the one before it did. */
static bool is_worth_a_look(struct governor *g, uint64_t since_ns)
{
	double limit = governor_allowed_ns(g, DEBT_NS);

	if (since_ns < g->pause_ns || g->account_ns < -limit || governor_window_ns(g) > limit ||
	    g->idle_cpus > QUIETER * g->idle_then)
		return false;
	g->pause_ns = g->pause_ns < MAX_PAUSE_NS / 2 ? 2 * g->pause_ns : MAX_PAUSE_NS;
	return true;
}

/* Are probes to go in or out? */
static bool turn_window(struct governor *g)
{
	uint64_t since_ns = g->time_ns - g->turned_ns;
	double need = governor_window_ns(g), saved = governor_allowed_ns(g, SAVED_NS);
	double next = governor_expected_ns(g, NEXT_LOOK_NS + g->options.detach_ns);

	if (g->attached) {
		/* it goes on if it is cheap, or if what comes next can be paid for */
		if (g->open_ns < MIN_WINDOW_NS || g->strict_ns >= next ||
		    g->window_cpus * NS_PER_S <= saved)
			return false;
		turn(g, false);
		return true;
	}
	if (since_ns < MIN_PAUSE_NS)
		return false;
	if (g->strict_ns < (need > saved ? need : saved) && !is_worth_a_look(g, since_ns))
		return false;
	turn(g, true);
	return true;
}

/* Following them, and what seep itself does about it. */
static bool faults_are_dear(const struct governor *g, const struct governor_input *in,
			    const struct governor_rates *r)
{
	double own_ns = g->options.pays_own ? (double)in->own_cpu_ns : 0;

	return governor_cost(g, r, g->at) + own_ns >
	       MARGIN_DOWN * g->options.max_overhead *
		       governor_at_least((double)in->cpu_ns, r->wall_ns);
}

static enum governor_action tick_down(struct governor *g, const struct governor_input *in,
				      const struct governor_rates *r, enum step_why *why)
{
	bool overdrawn = g->account_ns < g->tolerated_ns;

	if (press_down(g, in, why))
		return GOVERNOR_STEP;
	*why = STEP_OVER_TARGET;
	if (!g->options.max_overhead || g->at == g->nr_rungs - 1)
		return GOVERNOR_STAY;
	/* windows are never overdrawn: there are fewer of them */
	if (governor_is_windows(g))
		overdrawn =
			g->attached && r->wall_ns >= MIN_RATES_NS && governor_best(g, r, 0) > g->at;
	/* what counting took, and probes that were told to go, is no reason to do without page faults */
	if (!governor_sees_calls(g, g->at) && !faults_are_dear(g, in, r))
		overdrawn = false;
	if (!overdrawn)
		return GOVERNOR_STAY;
	move(g, lower_rung(g, r));
	return GOVERNOR_STEP;
}

static enum governor_action tick_up(struct governor *g, const struct governor_input *in,
				    const struct governor_rates *r)
{
	double margin = governor_is_windows(g) ? MARGIN_UP_OF_WINDOWS : MARGIN_UP;
	bool room = has_room(g, in);

	if (!governor_sees_calls(g, g->at)) {
		if (!room || g->time_ns < g->count_ns)
			return GOVERNOR_STAY;
		g->count_ns = g->time_ns + g->count_pause_ns;
		return GOVERNOR_COUNT;
	}
	/* nothing is known of a pause between windows, nor of its beginning, when probes are told to go */
	if (g->attached && r->wall_ns >= MIN_RATES_NS &&
	    rise(g, room ? governor_best(g, r, margin * g->options.max_overhead) : g->at,
		 in->attached_ns))
		return GOVERNOR_STEP;
	return governor_is_windows(g) && turn_window(g) ? GOVERNOR_WINDOW : GOVERNOR_STAY;
}

enum governor_action governor_tick(struct governor *g, const struct governor_input *in,
				   struct governor_step *out)
{
	enum governor_action action = GOVERNOR_STAY;
	enum step_why why = STEP_ROOM;
	struct governor_rates rates;
	double interval_ns, spent_ns = 0;
	unsigned int hit;

	if (in->time_ns > g->time_ns) {
		interval_ns = (double)(in->time_ns - g->time_ns);
		g->time_ns = in->time_ns;
		for (hit = 0; hit < GOVERNOR_HIT_NR; hit++)
			spent_ns += (double)in->hits[hit] * g->options.cost_ns[hit];
		/* a mean may be too high for a burst, in which all is at hand */
		if (in->cpu_ns && spent_ns > (double)in->cpu_ns)
			spent_ns = (double)in->cpu_ns;
		rates = governor_rates_of_input(g, in, interval_ns, spent_ns);
		governor_book(g, in, interval_ns, spent_ns);
		/* while probes were put in, calls were trapped that nobody followed */
		if (!g->open_ns)
			rates.foreign = 0;
		if (g->attached) {
			governor_note_window(g, &rates);
			g->open_ns += in->attached_ns;
		}
		action = tick_down(g, in, &rates, &why);
		if (action == GOVERNOR_STAY) {
			why = STEP_ROOM;
			action = tick_up(g, in, &rates);
		}
	}
	describe(g, why, out);
	return action;
}

/* --- counting, the start -------------------------------------------------------------------------- */

enum governor_action governor_counted(struct governor *g, const struct governor_count *count,
				      struct governor_step *out)
{
	struct governor_rates rates = governor_rates_of_count(count);
	unsigned int to = governor_best(g, &rates, MARGIN_UP * g->options.max_overhead);
	enum governor_action action = GOVERNOR_STAY;

	g->spent_ns += (double)count->spent_ns;
	g->account_ns -= (double)count->spent_ns;
	if (!governor_sees_calls(g, g->at) && to < g->at) {
		governor_note_window(g, &rates);
		move(g, one_at_a_time(g, to));
		if (!g->attached)
			governor_note_then(g, rates.base_ns / rates.wall_ns,
					   (double)count->cpu_ns / rates.wall_ns);
		action = GOVERNOR_STEP;
	} else {
		g->count_pause_ns *= 2;
		if (g->count_pause_ns > COUNT_MAX_NS)
			g->count_pause_ns = COUNT_MAX_NS;
		g->count_ns = g->time_ns + g->count_pause_ns;
	}
	describe(g, STEP_ROOM, out);
	return action;
}

void governor_init(struct governor *g, const struct governor_options *options)
{
	*g = (struct governor){.options = *options, .hold_ns = HOLD_MIN_NS};
	if (!g->options.detach_ns)
		g->options.detach_ns = DETACH_NS;
	governor_build_ladder(g);
}

void governor_start(struct governor *g, uint64_t time_ns, const struct governor_count *count,
		    struct governor_step *out)
{
	struct governor_rates rates;

	g->start_ns = g->time_ns = g->turned_ns = time_ns;
	if (count && count->counted_ns) {
		rates = governor_rates_of_count(count);
		g->cpus = (double)count->cpu_ns / (double)count->counted_ns;
		g->at = governor_best(g, &rates, MARGIN_DOWN * g->options.max_overhead);
		g->overhead = governor_load(g, &rates, g->at);
		if (governor_is_windows(g) && g->overhead > g->options.max_overhead)
			g->overhead = g->options.max_overhead;
		governor_note_window(g, &rates);
		g->idle_cpus = g->cpus;
		governor_note_then(g, rates.base_ns / rates.wall_ns, g->cpus);
	}
	g->attached = governor_is_always_in(g, g->at);
	g->count_pause_ns = COUNT_MIN_NS;
	g->count_ns = time_ns + g->count_pause_ns;
	describe(g, STEP_START, out);
}

void governor_predict(const struct governor_options *options, const struct governor_count *count,
		      struct governor_prediction *out)
{
	struct governor_options all = *options;
	struct governor_rates rates = governor_rates_of_count(count);
	struct governor exact, g;

	all.sample_bytes = 1;
	governor_init(&exact, &all);
	governor_init(&g, options);
	governor_start(&g, 0, count, &out->step);
	out->exact = governor_load(&exact, &rates, 0);
	out->sampled = exact.nr_rungs == g.nr_rungs ? governor_load(&exact, &rates, SAMPLED_USUAL)
						    : governor_load(&g, &rates, 0);
	out->chosen = governor_load(&g, &rates, g.at);
	out->of_least = rates.base_ns + governor_cost(&exact, &rates, 0) <
			GOVERNOR_LEAST_CPUS * rates.wall_ns;
	if (governor_is_windows(&g) && out->chosen > options->max_overhead)
		out->chosen = options->max_overhead;
	out->hopeless =
		options->max_overhead ? !governor_sees_calls(&g, g.at) : out->chosen > TOO_MUCH;
}
