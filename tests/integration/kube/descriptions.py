"""Descriptions that several tests share. NAMESPACE stands for the test's own."""

PLACE = """
apiVersion: v1
kind: Namespace
metadata: {name: NAMESPACE}
"""

SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NAMESPACE}
data: {LOG_LEVEL: info, POOL: "10"}
---
apiVersion: v1
kind: Secret
metadata: {name: credentials, namespace: NAMESPACE}
stringData: {password: correct-horse}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: backend, namespace: NAMESPACE}
"""

BACKEND = """
apiVersion: v1
kind: Service
metadata: {name: backend, namespace: NAMESPACE}
spec:
  selector: {app: backend}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: backend, namespace: NAMESPACE, labels: {app: backend}}
spec:
  replicas: 1
  selector: {matchLabels: {app: backend}}
  template:
    metadata: {labels: {app: backend}}
    spec:
      serviceAccountName: backend
      terminationGracePeriodSeconds: 1
      containers:
        - name: backend
          image: 127.0.0.1:5000/pause:1
          ports: [{containerPort: 8080}]
          envFrom: [{configMapRef: {name: settings}}]
          env: [{name: PASSWORD, valueFrom: {secretKeyRef: {name: credentials, key: password}}}]
          resources:
            requests: {cpu: 0.01, memory: 0.0078125Gi}
            limits: {cpu: 1000m, memory: 64Mi}
"""
