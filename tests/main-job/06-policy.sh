# shellcheck shell=bash
# Chapter 6: policy. Phases of one domain, the difference that travels, a draft from packages. nginx is n1's; the operator
# sits on the active server's node, whichever that is by now, and redis is asked there. Puts two-tier-web back.
OPERATOR=n2
PHASES_CONF=/etc/nginx/phases.conf
NGINX_DROPIN=/run/systemd/system/nginx.service.d

chapter_6() {
	chapter "policy"
	phases_prepared
	phase_installation
	phase_configuration
	phase_activation
	difference_travels
	policy_inferred
	policy_put_back
}

# The next version, whatever the last one was.
push_next() { # FILE...
	local version
	version=$(ask "$OPERATOR" .policy.version status) || return
	on "$OPERATOR" dsi-admin policy push "$@" --operator /root/operator.key >"$JOB_LOG/push" 2>&1 || {
		cat "$JOB_LOG/push"
		return 1
	}
	enforced_on_all "$OPERATOR" $((version + 1))
}
operator_ready() {
	OPERATOR=$(ask n1 .server.active status | tr -d '"')
	[[ $OPERATOR = n[1-9] ]] && operator_key_to "$OPERATOR"
}
phase_denied() { # PHASE TARGET CLASS: a refusal of that phase of nginx is on the server
	ask "$OPERATOR" "[.denials[] | select(.node == \"n1\" and .subject == \"nginx/$1\" and .target == \"$2\" and .class == \"$3\")] | length > 0" \
		denials
}

phase_run() { # PHASE CMD...: on n1
	local phase=$1
	shift
	on n1 dsi-run --phase "nginx/$phase" "$@"
}
phase_refused() { # PHASE CMD...: by the kernel, not for another reason
	if phase_run "$@" >"$JOB_LOG/phase" 2>&1; then
		echo "not refused"
		return 1
	fi
	grep -Eqi 'permission denied|requires superuser privilege' "$JOB_LOG/phase" || {
		cat "$JOB_LOG/phase"
		return 1
	}
}

# Two versions of a package with a page, a configuration of nginx's own, and a unit that starts it through activation.
phases_prepared() {
	row "6 nginx in four phases: a policy that tells them apart"
	check "the operator is at the active server" operator_ready
	check "the phases' entries are made on n1" on n1 sh -c '
		for p in installation configuration activation; do dsi-run --make nginx/$p || exit 1; done'
	check "a package in two versions" on n1 sh -c '
		for v in 1 2; do
			mkdir -p /tmp/news/DEBIAN /tmp/news/var/www/html
			printf "Package: site-news\nVersion: %s\nArchitecture: all\nMaintainer: x <x@example.org>\nDescription: x\n" $v >/tmp/news/DEBIAN/control
			echo "news $v" >/tmp/news/var/www/html/news.html
			dpkg-deb -b /tmp/news /tmp/news-$v.deb || exit 1
		done
		dpkg -i /tmp/news-1.deb'
	check "a configuration and a unit that starts it by dsi-run" on n1 sh -c "
		printf 'events { worker_connections 64; }\nhttp { server { listen 80; root /var/www/html; } }\n' >$PHASES_CONF
		mkdir -p $NGINX_DROPIN
		printf '[Service]\nExecStartPre=\nExecReload=\nExecStart=\nExecStart=/usr/bin/dsi-run --phase nginx/activation /usr/sbin/nginx -c $PHASES_CONF\n' \
			>$NGINX_DROPIN/phases.conf
		systemctl daemon-reload && systemctl stop nginx"
	check "the policy with phases is enforced" push_next "$POLICIES/base" "$POLICIES/examples/phases.dsp"
}

phase_installation() {
	row "6 installation: the package manager works, and in no other phase"
	check "configuration may not upgrade the package" phase_refused configuration dpkg -i /tmp/news-2.deb
	check "activation may not" phase_refused activation dpkg -i /tmp/news-2.deb
	check "installation upgrades it" phase_run installation dpkg -i /tmp/news-2.deb
	check "the new page is there" on n1 grep -qx 'news 2' /var/www/html/news.html
	check "installation may not read passwords" phase_refused installation cat /etc/shadow
}

phase_configuration() {
	row "6 configuration: nginx's settings change, and not while it is started"
	check "activation may not edit them" phase_refused activation sed -i s/64/128/ "$PHASES_CONF"
	check "configuration edits them" phase_run configuration sed -i s/64/128/ "$PHASES_CONF"
	check "the change is there" on n1 grep -q 'worker_connections 128' "$PHASES_CONF"
	check "configuration may not start nginx" phase_refused configuration nginx -c "$PHASES_CONF"
	check_until 20 "the refusals name the phase, on the server" phase_denied activation nginx_config file
}

phase_activation() {
	row "6 activation starts nginx, execution serves"
	check "systemd starts nginx, through activation" on n1 systemctl start nginx
	check_until 20 "it serves the new page" http_code /news.html 200
	check "activation itself may open no connection" phase_refused activation bash -c 'exec 3<>/dev/tcp/127.0.0.1/80'
	check "explain says in which phase it would be allowed" on "$OPERATOR" sh -c "
		dsi-admin policy explain nginx/activation nginx_config file write --policy $POLICIES/base --policy $POLICIES/examples/phases.dsp |
			grep -q 'in phase configuration .nginx. may'"
}

difference_travels() {
	row "6 one rule more: only the difference travels"
	check "a rule more, on the operator's node" on "$OPERATOR" sh -c "
		(cat $POLICIES/examples/phases.dsp; echo 'allow nginx srv:file { read };') >/tmp/phases.dsp"
	check "pushed and enforced" push_next "$POLICIES/base" /tmp/phases.dsp
	check "n1 fetched a difference" ask n1 '.versions[0].delta' policy history
	measured "$(ask n1 '.versions[0] | "\(.fetched) of \(.size) bytes"' policy history | tr -d '"')"
}

policy_inferred() {
	row "6 a policy drafted from the packages of nginx and redis: it compiles and they serve"
	check "the draft, with reasons" on n1 sh -c '
		dsi-admin policy infer nginx redis-server --enforcing --out /tmp/inferred.dsp && grep -q "^# ExecStart of" /tmp/inferred.dsp'
	on n1 cat /tmp/inferred.dsp >"$JOB_LOG/inferred.dsp"
	check "to the operator's node" inferred_sent
	check "enforced" push_next "$POLICIES/base" /tmp/inferred.dsp
	check "nginx starts under it" on n1 systemctl restart nginx
	check_until 20 "and serves" http_code /news.html 200
	check "redis starts under it" on "$OPERATOR" systemctl restart redis-server
	check_until 20 "and answers" redis_answers
	check "nginx may not leave what its packages say" on n1 sh -c "
		dsi-admin policy explain nginx /var/lib/redis/x file read --policy $POLICIES/base --policy /tmp/inferred.dsp; [ \$? = 1 ]"
}
inferred_sent() { on "$OPERATOR" sh -c 'cat >/tmp/inferred.dsp' <"$JOB_LOG/inferred.dsp"; }
redis_answers() { [[ $(on "$OPERATOR" redis-cli ping) = PONG ]]; }

policy_put_back() {
	row "6 two-tier-web is put back"
	check "the unit as it was" on n1 sh -c "rm -rf $NGINX_DROPIN && systemctl daemon-reload && systemctl stop nginx"
	# shellcheck disable=SC2086
	check "two-tier-web is enforced" push_next $TWO_TIER
	check "nginx starts" on n1 systemctl start nginx
	check "redis starts" on "$OPERATOR" systemctl restart redis-server
	check_until 20 "nginx serves" http_code / 200
	check_until 20 "redis answers" redis_answers
}
