apiVersion: apps/v1
kind: {{ .Values.kind }}
metadata:
  name: {{ .Release.Name }}
  labels:
    app.kubernetes.io/name: {{ .Values.name }}
spec:
  {{- if eq .Values.kind "StatefulSet" }}
  serviceName: {{ .Release.Name }}
  {{- end }}
  selector:
    matchLabels: { app.kubernetes.io/name: {{ .Values.name }} }
  template:
    metadata:
      annotations:
        checksum/gateway-config: {{ include (print $.Template.BasePath "/config.tpl") . | sha256sum }}
      labels:
        app.kubernetes.io/name: {{ .Values.name }}
    spec:
      serviceAccountName: {{ .Release.Name }}
      securityContext:
        fsGroup: 1000
      containers:
        - name: {{ .Values.container }}
          image: registry.example/gateway:1
          args: [--config, /etc/openshell/gateway.toml]
          securityContext:
            runAsNonRoot: true
            runAsUser: 1000
            allowPrivilegeEscalation: false
            capabilities: { drop: [ALL] }
          volumeMounts:
            - name: gateway-config
              mountPath: /etc/openshell
              readOnly: true
      volumes:
        - name: gateway-config
          configMap:
            name: {{ .Release.Name }}-config
