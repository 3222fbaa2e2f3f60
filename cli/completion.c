/* SPDX-License-Identifier: GPL-2.0-or-later */
/* bash completion, written from the command table; cli/dsi-admin.bash is its output (a test compares). */
#include <string.h>

#include "cli/cli.h"

static void first_words(FILE *f)
{
	for (size_t i = 0; i < cli_n_commands; i++) {
		const char *name = cli_commands[i].name;
		size_t n = strcspn(name, " ");

		if (i && !strncmp(cli_commands[i - 1].name, name, n) && strcspn(cli_commands[i - 1].name, " ") == n)
			continue;
		fprintf(f, "%s%.*s", i ? " " : "", (int)n, name);
	}
}

static void second_words(FILE *f)
{
	for (size_t i = 0; i < cli_n_commands; i++) {
		const char *name = cli_commands[i].name, *space = strchr(name, ' ');
		size_t n = strcspn(name, " ");
		bool begins = i == 0 || strncmp(cli_commands[i - 1].name, name, n + 1);
		bool ends = i + 1 == cli_n_commands || strncmp(cli_commands[i + 1].name, name, n + 1);

		if (!space)
			continue;
		if (begins)
			fprintf(f, "\t%.*s) words=\"", (int)n, name);
		fprintf(f, "%s%s", begins ? "" : " ", space + 1);
		if (ends)
			fprintf(f, "\" ;;\n");
	}
}

static void options(FILE *f, const struct cli_option *o)
{
	for (; o && o->name; o++)
		fprintf(f, " --%s", o->name);
}

static void option_cases(FILE *f)
{
	for (size_t i = 0; i < cli_n_commands; i++) {
		const struct cli_command *cmd = &cli_commands[i];
		bool one = !strchr(cmd->name, ' ');

		if (!cmd->options)
			continue;
		fprintf(f, "\t\"%s%s\"%s) options+=\"", cmd->name, one ? " " : "", one ? "*" : "");
		options(f, cmd->options);
		fprintf(f, "\" ;;\n");
	}
}

void cli_completion_bash(FILE *f)
{
	fprintf(f, "# bash completion for dsi-admin; written by `dsi-admin completion`, do not edit\n"
		   "_dsi_admin()\n{\n"
		   "\tlocal cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words='' options=''\n"
		   "\tCOMPREPLY=()\n"
		   "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n\t\twords=\"");
	first_words(f);
	fprintf(f, "\"\n\t\tmapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n\t\treturn\n\tfi\n"
		   "\tif [ \"$prev\" = --output-as ]; then\n"
		   "\t\tmapfile -t COMPREPLY < <(compgen -W \"text json\" -- \"$cur\")\n\t\treturn\n\tfi\n"
		   "\tif [ \"$COMP_CWORD\" -eq 2 ]; then\n\t\tcase \"${COMP_WORDS[1]}\" in\n");
	second_words(f);
	fprintf(f, "\t\tesac\n\tfi\n\toptions=\"");
	options(f, cli_common_options);
	fprintf(f, "\"\n\tcase \"${COMP_WORDS[1]} ${COMP_WORDS[2]}\" in\n");
	option_cases(f);
	fprintf(f, "\tesac\n"
		   "\tcase \"$cur\" in\n"
		   "\t-*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$cur\") ;;\n"
		   "\t*) mapfile -t COMPREPLY < <(compgen -W \"$words\" -f -- \"$cur\") ;;\n"
		   "\tesac\n}\ncomplete -o filenames -F _dsi_admin dsi-admin\n");
}
