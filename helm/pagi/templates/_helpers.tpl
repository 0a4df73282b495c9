{{/*
Renders a template once for each application. Its context looks like the usual one, but .Values are those of the
application and .Fullname is its name. usage: include "pagi.each" (dict "root" . "template" "pagi.deployment")
*/}}
{{- define "pagi.each" -}}
{{- $root := .root -}}
{{- $template := .template -}}
{{- $base := include "pagi.basename" $root -}}
{{- $applications := $root.Values.applications | default (dict "" (dict)) -}}
{{- range $name := keys $applications | sortAlpha -}}
{{- $own := get $applications $name | default dict -}}
{{- $values := mergeOverwrite (deepCopy (omit $root.Values "applications")) (deepCopy $own) -}}
{{- $fullname := ternary $base (printf "%s-%s" $base $name | trunc 63 | trimSuffix "-") (empty $name) -}}
{{- $context := dict "Values" $values "Release" $root.Release "Chart" $root.Chart "Capabilities" $root.Capabilities "Application" $name "Fullname" $fullname -}}
{{- include $template $context }}
{{ end -}}
{{- end -}}

{{- define "pagi.basename" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "pagi.selectorLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: {{ .Application | default "application" }}
{{- end -}}

{{- define "pagi.labels" -}}
{{ include "pagi.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "pagi.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default .Fullname -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "pagi.image" -}}
{{- printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) -}}
{{- end -}}

{{/* The port of the service. */}}
{{- define "pagi.servicePort" -}}
{{- ternary .Values.tls.port .Values.service.port .Values.tls.enabled | int64 -}}
{{- end -}}

{{/* A ConfigMap brings the application when this is not empty. */}}
{{- define "pagi.applicationConfigMap" -}}
{{- if .Values.application.existingConfigMap -}}
{{- .Values.application.existingConfigMap -}}
{{- else if .Values.application.files -}}
{{- printf "%s-application" .Fullname -}}
{{- end -}}
{{- end -}}

{{/* What pagi.toml says: the user's keys and those that must fit the rest of the pod. */}}
{{- define "pagi.config" -}}
{{- $values := .Values -}}
{{- $app := $values.application.name -}}
{{- if and (include "pagi.applicationConfigMap" .) (not (hasPrefix "/" $app)) -}}
{{- $app = printf "/srv/app/%s" $app -}}
{{- end -}}
{{- $ours := dict "app" $app "listen" (list (printf "0.0.0.0:%d" (int64 $values.ports.http))) "admin_listen" (printf "0.0.0.0:%d" (int64 $values.ports.admin)) -}}
{{- if $values.tls.enabled -}}
{{- $_ := required "tls.secretName is needed when tls.enabled is true" $values.tls.secretName -}}
{{- $_ := set $ours "ssl_cert" "/etc/pagi/tls/tls.crt" -}}
{{- $_ := set $ours "ssl_key" "/etc/pagi/tls/tls.key" -}}
{{- end -}}
{{- range $key := keys $ours -}}
{{- if hasKey $values.config $key -}}
{{- fail (printf "config.%s is set by the chart (application, ports, tls)" $key) -}}
{{- end -}}
{{- end -}}
{{- include "pagi.toml" (merge $ours $values.config) -}}
{{- end -}}

{{/* A flat map as TOML. Whole numbers are written as such: YAML's 10000000 would become 1e+07. */}}
{{- define "pagi.toml" -}}
{{- $map := . -}}
{{- range $key := keys $map | sortAlpha }}
{{ $key }} = {{ include "pagi.tomlValue" (get $map $key) }}
{{- end }}
{{- end -}}

{{- define "pagi.tomlValue" -}}
{{- if kindIs "slice" . -}}
[{{ range $index, $item := . }}{{ if $index }}, {{ end }}{{ include "pagi.tomlValue" $item }}{{ end }}]
{{- else if kindIs "string" . -}}
{{ toJson . }}
{{- else if kindIs "float64" . -}}
{{ if eq . (floor .) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- else -}}
{{ . }}
{{- end -}}
{{- end -}}

{{/* Delay, then drain, then a margin for lifespan shut-down and the exit itself. */}}
{{- define "pagi.gracePeriod" -}}
{{- add (.Values.lifecycle.preStopDelay | int64) (.Values.config.shutdown_timeout | default 30 | float64 | ceil | int64) 10 -}}
{{- end -}}
