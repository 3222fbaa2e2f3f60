/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The table, the parser, exit statuses, and what reaches the daemon. */
#include "tests/unit/cli_fixture.h"

static const char ok[] = "{\"code\": 0, \"name\": \"OK\", \"text\": \"\", \"data\": {}}";

START_TEST(usage_errors)
{
	static const struct {
		const char *argv[8];
		const char *text;
	} cases[] = {
		{ { "dsi-admin", "nonsense" }, "unknown command \"nonsense\"" },
		{ { "dsi-admin", "policy", "nonsense" }, "unknown command \"policy nonsense\"" },
		{ { "dsi-admin", "status", "--nonsense" }, "unknown option --nonsense" },
		{ { "dsi-admin", "status", "-x" }, "unknown option -x" },
		{ { "dsi-admin", "status", "extra" }, "too many arguments" },
		{ { "dsi-admin", "status", "--server=1" }, "takes no value" },
		{ { "dsi-admin", "log", "--max" }, "needs a value" },
		{ { "dsi-admin", "log", "--max", "x" }, "not a number" },
		{ { "dsi-admin", "status", "--output-as=xml" }, "text or json" },
		{ { "dsi-admin", "revoke-node" }, "missing argument; usage: dsi-admin revoke-node NODE" },
		{ { "dsi-admin", "revoke-node", "n1" }, "--reason" },
		{ { "dsi-admin", "isolate", "n1" }, "--local" },
		{ { "dsi-admin", "denials", "--since", "soon" }, "not a duration" },
		{ { "dsi-admin", "init" }, "--cluster" },
		{ { "dsi-admin", "enroll" }, "--token" },
	};
	struct fake f = { 0 };

	fake_answer(&f, NULL, "nodes", "{\"code\":0,\"data\":{\"nodes\":[{\"nid\":1,\"name\":\"n1\",\"status\":\"bound\"}]}}", 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int n = 0;

		while (n < 8 && cases[i].argv[n])
			n++;
		ck_assert_int_eq(fake_run(&f, n, cases[i].argv), 64);
		ck_assert_msg(strstr(f.log, cases[i].text) != NULL, "case %zu: %s", i, f.log);
		ck_assert_str_eq(f.out, "");
		/* one line */
		ck_assert_ptr_eq(strchr(f.log, '\n'), f.log + strlen(f.log) - 1);
	}
	fake_fini(&f);
}
END_TEST

/* doc/exit-codes.md: with --output-as=json standard output also gets the error, whatever was wrong and where it is said. */
START_TEST(usage_errors_as_json)
{
	static const struct {
		const char *argv[8];
		const char *text;
	} cases[] = {
		{ { "dsi-admin", "nonsense", "--output-as=json" }, "unknown command \"nonsense\"" },
		{ { "dsi-admin", "nonsense", "--output-as", "json" }, "unknown command \"nonsense\"" },
		{ { "dsi-admin", "--output-as=json", "status" }, "unknown command" },
		{ { "dsi-admin", "--output-as=json" }, "unknown command" },
		{ { "dsi-admin", "policy", "nonsense", "--output-as=json" }, "policy nonsense" },
		{ { "dsi-admin", "policy", "--output-as=json" }, "unknown command \"policy" },
		{ { "dsi-admin", "status", "--nonsense", "--output-as=json" }, "unknown option --nonsense" },
		{ { "dsi-admin", "status", "--output-as=json", "-x" }, "unknown option -x" },
		{ { "dsi-admin", "status", "extra", "--output-as=json" }, "too many arguments" },
		{ { "dsi-admin", "status", "--output-as=json", "--server=1" }, "takes no value" },
		{ { "dsi-admin", "log", "--output-as=json", "--max" }, "needs a value" },
		{ { "dsi-admin", "log", "--max", "x", "--output-as=json" }, "not a number" },
		{ { "dsi-admin", "status", "--output-as=xml", "--output-as=json", "--quiet=1" }, "takes no value" },
		{ { "dsi-admin", "init", "--output-as=json" }, "--cluster" },
		{ { "dsi-admin", "\xff\xfe", "--output-as=json" }, "unknown command \"??\"" },
	};
	static const char *const plain[][4] = {
		{ "dsi-admin", "nonsense", "--", "--output-as=json" },
		{ "dsi-admin", "nonsense", "--output-as=json", "--output-as=text" },
		{ "dsi-admin", "status", "--output-as=json", "--output-as=xml" },
	};
	struct fake f = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		json_t *doc, *error;
		int n = 0;

		while (n < 8 && cases[i].argv[n])
			n++;
		ck_assert_int_eq(fake_run(&f, n, cases[i].argv), 64);
		doc = json_loads(f.out, 0, NULL);
		ck_assert_msg(doc != NULL, "case %zu: \"%s\"", i, f.out);
		error = json_object_get(doc, "error");
		ck_assert_int_eq(json_integer_value(json_object_get(error, "code")), -DSI_EUSAGE);
		ck_assert_str_eq(json_string_value(json_object_get(error, "name")), "EUSAGE");
		ck_assert_msg(strstr(json_string_value(json_object_get(error, "text")), cases[i].text) != NULL, "case %zu: %s", i, f.out);
		ck_assert_ptr_eq(strchr(f.log, '\n'), f.log + strlen(f.log) - 1);
		json_decref(doc);
	}
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++) {
		ck_assert_int_eq(fake_run(&f, 4, plain[i]), 64);
		ck_assert_str_eq(f.out, "");
	}
	fake_fini(&f);
}
END_TEST

START_TEST(help_needs_nothing)
{
	struct fake f = { 0 };
	char name[64], *space;

	ck_assert_int_eq(RUN(&f, "--help"), 0);
	ck_assert_ptr_nonnull(strstr(f.out, "revoke-node NODE"));
	ck_assert_int_eq(RUN(&f, "--version"), 0);
	for (size_t i = 0; i < cli_n_commands; i++) {
		snprintf(name, sizeof(name), "%s", cli_commands[i].name);
		space = strchr(name, ' ');
		if (space)
			*space = 0;
		ck_assert_int_eq(space ? RUN(&f, name, space + 1, "--help") : RUN(&f, name, "--help"), 0);
		ck_assert_ptr_nonnull(strstr(f.out, "Usage: dsi-admin"));
		ck_assert_int_lt((int)strlen(cli_commands[i].help), 80);
	}
	ck_assert_int_eq(f.n_asked, 0);
	ck_assert_int_eq(RUN(&f, "policy", "--help"), 0);
	fake_fini(&f);
}
END_TEST

/* No name or option twice, no command that hides another's group, options within one command distinct. */
START_TEST(table_is_sound)
{
	for (size_t i = 0; i < cli_n_commands; i++) {
		const struct cli_option *o = cli_commands[i].options;
		int words;

		for (size_t k = 0; k < i; k++)
			ck_assert_str_ne(cli_commands[i].name, cli_commands[k].name);
		if (!strchr(cli_commands[i].name, ' '))
			ck_assert_ptr_eq(cli_find(cli_commands[i].name, "x", &words), &cli_commands[i]);
		for (; o && o->name; o++)
			for (const struct cli_option *p = cli_commands[i].options; p != o; p++)
				ck_assert_msg(strcmp(p->name, o->name) != 0, "%s: --%s twice", cli_commands[i].name, o->name);
	}
}
END_TEST

START_TEST(status_exits_as_quorumtool)
{
	struct fake f = { 0 };
	json_t *well = json_load_file("tests/golden/cli/status.json", 0, NULL);
	json_t *ill = json_load_file("tests/golden/cli/status-ill.json", 0, NULL);
	json_t *reply;
	char *text;

	ck_assert(status_well(well));
	ck_assert(!status_well(ill));
	reply = json_pack("{s:i, s:O}", "code", 0, "data", well);
	text = json_dumps(reply, 0);
	fake_answer(&f, CTL_DSID, "status", text, 0);
	ck_assert_int_eq(RUN(&f, "status"), 0);
	ck_assert_ptr_nonnull(strstr(f.out, "policy 1 enforced on 3 of 3 present, 0 absent, 0 lagging"));
	ck_assert_int_eq(RUN(&f, "status", "--output-as=json"), 0);
	json_decref(reply);
	reply = json_loads(f.out, 0, NULL);
	ck_assert(json_equal(reply, well));
	free(text);
	json_decref(reply);
	f.n = 0;
	reply = json_pack("{s:i, s:O}", "code", 0, "data", ill);
	text = json_dumps(reply, 0);
	fake_answer(&f, CTL_SERVER, "status", text, 0);
	ck_assert_int_eq(RUN(&f, "status"), 2); /* dsid is not there: the server answers */
	ck_assert_int_eq(RUN(&f, "status", "--server"), 2);
	free(text);
	json_decref(reply);
	json_decref(well);
	json_decref(ill);
	fake_fini(&f);
}
END_TEST

START_TEST(conditions)
{
	static const struct {
		const char *condition;
		bool holds;
	} cases[] = {
		{ "view.live=true", true },        { "view.live=false", false },       { "view.voters_present=3", true },
		{ "view.voters_present!=3", false }, { "server.active=n2", true },       { "server.active!=n1", true },
		{ "server.standby=n3", true },      { "server.absent=", true },          { "nodes.n3.policy=1", true },
		{ "nodes.n1.roles=member,voter", true }, { "nodes.n4.policy=1", false }, { "nodes.n4.policy!=1", false },
		{ "policy.text=policy 1 enforced on 3 of 3 present, 0 absent, 0 lagging", true },
		{ "view.nothing=", false },         { "view..live=true", false },        { "by.more=dsid", false },
	};
	static const char *const none[] = { "", "view.live", "=1", "!=1", "view!live", "view!" };
	json_t *doc = json_load_file("tests/golden/cli/status.json", 0, NULL);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ck_assert_int_eq(wait_check(cases[i].condition, NULL), 0);
		ck_assert_msg(wait_holds(doc, cases[i].condition) == cases[i].holds, "%s", cases[i].condition);
	}
	for (size_t i = 0; i < ARRAY_SIZE(none); i++)
		ck_assert_int_eq(wait_check(none[i], NULL), -DSI_EUSAGE);
	json_decref(doc);
}
END_TEST

/* A daemon that is not there yet, then one that is not well yet; a time that is over says what was missing. */
START_TEST(wait_waits)
{
	struct fake f = { 0 };
	json_t *well = json_load_file("tests/golden/cli/status.json", 0, NULL);
	json_t *ill = json_load_file("tests/golden/cli/status-ill.json", 0, NULL);
	json_t *yes = json_pack("{s:i, s:o}", "code", 0, "data", well), *no = json_pack("{s:i, s:o}", "code", 0, "data", ill);
	char *yes_text = json_dumps(yes, 0), *no_text = json_dumps(no, 0);

	fake_answer(&f, NULL, "status", NULL, 2); /* dsid and dsi-ss, once each */
	fake_answer(&f, CTL_DSID, "status", no_text, 2);
	fake_answer(&f, CTL_DSID, "status", yes_text, 0);
	ck_assert_int_eq(RUN(&f, "wait", "view.live=true", "policy.enforced=3"), 0);
	ck_assert_int_eq(f.n_asked, 5);
	ck_assert_ptr_nonnull(strstr(f.out, "after "));
	ck_assert_int_eq(RUN(&f, "wait", "view.live=true", "--output-as=json"), 0);
	ck_assert_ptr_nonnull(strstr(f.out, "\"waited_ms\""));
	ck_assert_int_eq(RUN(&f, "wait", "server.active=n9", "--timeout", "1s"), 124);
	ck_assert_ptr_nonnull(strstr(f.log, "server.active is n2, wanted n9"));
	ck_assert_int_eq(RUN(&f, "wait", "server"), 64);
	free(yes_text);
	free(no_text);
	json_decref(yes);
	json_decref(no);
	fake_fini(&f);
}
END_TEST

START_TEST(refusals_keep_code_and_text)
{
	struct fake f = { 0 };
	char reply[256];

	ck_assert_int_eq(RUN(&f, "status"), 102);
	snprintf(reply, sizeof(reply), "{\"code\": %d, \"text\": \"would leave 1 of 3 voters, 2 needed\", \"data\": {}}",
		 -DSI_EQUORUM);
	fake_answer(&f, NULL, "failover", reply, 0);
	ck_assert_int_eq(RUN(&f, "failover"), 106);
	ck_assert_str_eq(f.log, "dsi-admin failover: would leave 1 of 3 voters, 2 needed\n");
	ck_assert_int_eq(RUN(&f, "failover", "--output-as=json"), 106);
	ck_assert_ptr_nonnull(strstr(f.out, "\"EQUORUM\""));
	fake_fini(&f);
}
END_TEST

/* Whatever a daemon answers, the command ends with an error, not with a crash. */
START_TEST(bad_answers)
{
	static const char *const bad[] = { "", "{", "[]", "{}", "{\"code\": \"0\"}", "{\"code\": 5}", "{\"code\": -9999}",
					   "{\"code\": 0, \"code\": 0}" };
	struct fake f = { 0 };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		f.n = 0;
		fake_answer(&f, NULL, "counters", bad[i], 0);
		ck_assert_int_eq(RUN(&f, "counters"), 76);
	}
	f.n = 0;
	fake_answer(&f, NULL, "counters", "{\"code\": 0, \"data\": 7}", 0);
	ck_assert_int_eq(RUN(&f, "counters"), 0);
	fake_fini(&f);
}
END_TEST

START_TEST(arguments_reach_the_daemon)
{
	struct fake f = { 0 };
	const json_t *args;

	fake_answer(&f, NULL, "denials", ok, 0);
	ck_assert_int_eq(RUN(&f, "denials", "--node=n1", "--since", "1m", "--max", "7"), 0);
	args = fake_asked(&f, "denials");
	ck_assert_str_eq(json_string_value(json_object_get(args, "node")), "n1");
	ck_assert_int_eq(json_integer_value(json_object_get(args, "since_ms")), 1767225600000 - 60000);
	ck_assert_int_eq(json_integer_value(json_object_get(args, "max")), 7);
	fake_answer(&f, CTL_DSID, "isolate", ok, 0);
	ck_assert_int_eq(RUN(&f, "isolate", "--local", "n3"), 0);
	ck_assert_str_eq(json_string_value(json_object_get(fake_asked(&f, "isolate"), "node")), "n3");
	fake_fini(&f);
}
END_TEST

START_TEST(verdict_statuses)
{
	json_t *d = json_loads("{\"commit_ms\": 0, \"missing\": []}", 0, NULL);

	ck_assert_int_eq(verdict_status(d), 106);
	json_object_set_new(d, "commit_ms", json_integer(3));
	ck_assert_int_eq(verdict_status(d), 0);
	json_array_append_new(json_object_get(d, "missing"), json_string("n2"));
	ck_assert_int_eq(verdict_status(d), 75);
	json_decref(d);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("cli_cli");
	TCase *t = tcase_create("cli");

	tcase_add_test(t, usage_errors);
	tcase_add_test(t, usage_errors_as_json);
	tcase_add_test(t, help_needs_nothing);
	tcase_add_test(t, table_is_sound);
	tcase_add_test(t, status_exits_as_quorumtool);
	tcase_add_test(t, conditions);
	tcase_add_test(t, wait_waits);
	tcase_add_test(t, refusals_keep_code_and_text);
	tcase_add_test(t, bad_answers);
	tcase_add_test(t, arguments_reach_the_daemon);
	tcase_add_test(t, verdict_statuses);
	suite_add_tcase(s, t);
	return check_main(s);
}
