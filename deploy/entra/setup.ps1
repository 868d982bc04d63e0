<#
.SYNOPSIS
Registers the exporter in Entra with Microsoft Graph PowerShell, and confines its calendars to rooms in Exchange Online.

.DESCRIPTION
Shows what it would do; -Apply does it. The same as setup.sh, and the Exchange part too. Run again it changes what is
there: the permissions become those of the profiles, a further credential is added.

Needs the modules Microsoft.Graph.Applications and, for calendars, ExchangeOnlineManagement.

.PARAMETER Profile
minimal, operations, space, finance or all, as in docs/permissions.md.

.PARAMETER Calendars
exchange: rooms only, by Exchange RBAC. entra: every mailbox.

.PARAMETER Credential
certificate: the public half in -Certificate is uploaded. secret: one is made and written to -SecretFile. none.

.PARAMETER Certificate
A file with a certificate (PEM or DER), whose key stays where the exporter runs.

.EXAMPLE
./setup.ps1 -Profile operations, space -Certificate teams-rooms-exporter.crt
./setup.ps1 -Profile operations, space -Certificate teams-rooms-exporter.crt -Apply
#>
[CmdletBinding()]
param(
    [Parameter(Mandatory)][ValidateSet('minimal', 'operations', 'space', 'finance', 'all')][string[]] $Profile,
    [ValidateSet('exchange', 'entra')][string] $Calendars = 'exchange',
    [ValidateSet('certificate', 'secret', 'none')][string] $Credential = 'certificate',
    [string] $Certificate,
    [string] $SecretFile = 'teams-rooms-exporter.secret',
    [ValidatePattern('^[A-Za-z0-9][A-Za-z0-9._-]*$')][string] $Name = 'teams-rooms-exporter',
    [ValidateRange(1, 9999)][int] $Days = 365,
    [ValidateSet('Global', 'USGov', 'USGovDoD', 'China')][string] $Environment = 'Global',
    [switch] $Apply
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'

# Microsoft Graph, in every cloud.
$graphId = '00000003-0000-0000-c000-000000000000'

# Runs the block, or says what it would do.
function Invoke-Change([string] $What, [scriptblock] $Block) {
    if ($Apply) {
        Write-Host "* $What"
        return & $Block
    }
    Write-Host "* would: $What"
}

$permissions = @(
    switch ($Profile) {
        'minimal' { 'Place.Read.All'; 'TeamworkDevice.Read.All' }
        { $_ -in 'operations', 'all' } {
            'Place.Read.All'; 'TeamworkDevice.Read.All'; 'Presence.Read.All'; 'ServiceHealth.Read.All'
            'DeviceManagementManagedDevices.Read.All'
        }
        { $_ -in 'space', 'all' } {
            'Place.Read.All'; 'Presence.Read.All'
            if ($Calendars -eq 'entra') { 'Calendars.ReadBasic.All' }
        }
        { $_ -in 'finance', 'all' } { 'Place.Read.All'; 'User.Read.All'; 'LicenseAssignment.Read.All' }
        'all' { 'Organization.Read.All'; 'Application.Read.All' }
    }
) | Sort-Object -Unique

if ($Credential -eq 'certificate' -and -not $Certificate) {
    throw '-Certificate is missing: openssl req -x509 -newkey rsa:3072 -nodes -days 365 -subj /CN=teams-rooms-exporter -keyout key.pem -out cert.pem'
}

$scope = if ($Apply) { 'Application.ReadWrite.All' } else { 'Application.Read.All' }
Connect-MgGraph -Scopes $scope -Environment $Environment -NoWelcome
$context = Get-MgContext

# The ids of application permissions are looked up: they are Microsoft's.
$graph = Get-MgServicePrincipal -Filter "appId eq '$graphId'"
$access = @(
    foreach ($permission in $permissions) {
        $role = $graph.AppRoles | Where-Object { $_.Value -eq $permission -and $_.AllowedMemberTypes -contains 'Application' }
        if ($role) {
            Write-Host "* asks for $permission ($($role.Id))"
            @{ Id = $role.Id; Type = 'Role' }
        }
        else {
            Write-Host "* this cloud has no $permission; it is left out"
        }
    }
)
if ($access.Count -eq 0) { throw 'this cloud has none of these permissions' }
$required = @(@{ ResourceAppId = $graphId; ResourceAccess = $access })

$found = @(Get-MgApplication -Filter "displayName eq '$Name'")
if ($found.Count -gt 1) { throw "several applications are called $Name; choose another -Name" }
if ($found.Count -eq 1) {
    $application = $found[0]
    Invoke-Change "give the application $($application.AppId) these permissions" {
        Update-MgApplication -ApplicationId $application.Id -RequiredResourceAccess $required
    }
}
else {
    $application = Invoke-Change "create the application $Name" {
        New-MgApplication -DisplayName $Name -SignInAudience AzureADMyOrg -RequiredResourceAccess $required
    }
}
$appId = if ($application) { $application.AppId } else { '<application id>' }

$principal = if ($application) { Get-MgServicePrincipal -Filter "appId eq '$appId'" }
if (-not $principal) {
    $principal = Invoke-Change 'create its enterprise application' { New-MgServicePrincipal -AppId $appId }
}

switch ($Credential) {
    'certificate' {
        $public = [System.Security.Cryptography.X509Certificates.X509Certificate2]::new((Resolve-Path $Certificate).Path)
        Invoke-Change "add the certificate $($public.Subject), valid until $($public.NotAfter.ToString('u'))" {
            # This call replaces the list: what is there is said again, which Graph allows without its key.
            $keys = @((Get-MgApplication -ApplicationId $application.Id).KeyCredentials)
            $keys += @{ Type = 'AsymmetricX509Cert'; Usage = 'Verify'; DisplayName = $Name; Key = $public.RawData }
            Update-MgApplication -ApplicationId $application.Id -KeyCredentials $keys
        }
    }
    'secret' {
        Invoke-Change "add a secret for $Days days and write it to $SecretFile; let nobody else read that file" {
            $end = (Get-Date).ToUniversalTime().AddDays($Days)
            $made = Add-MgApplicationPassword -ApplicationId $application.Id `
                -PasswordCredential @{ DisplayName = $Name; EndDateTime = $end }
            [System.IO.File]::WriteAllText((Join-Path (Get-Location) $SecretFile), $made.SecretText)
        }
    }
}

if ($Calendars -eq 'exchange' -and ($Profile -contains 'space' -or $Profile -contains 'all')) {
    Invoke-Change 'let it read the calendars of room mailboxes, and of no others' {
        Connect-ExchangeOnline -ShowBanner:$false
        if (-not (Get-ServicePrincipal | Where-Object { $_.AppId -eq $appId })) {
            New-ServicePrincipal -AppId $appId -ObjectId $principal.Id -DisplayName $Name
        }
        if (-not (Get-ManagementScope | Where-Object { $_.Name -eq "$Name rooms" })) {
            New-ManagementScope -Name "$Name rooms" -RecipientRestrictionFilter "RecipientTypeDetails -eq 'RoomMailbox'"
        }
        if (-not (Get-ManagementRoleAssignment | Where-Object { $_.Name -eq "$Name calendars" })) {
            New-ManagementRoleAssignment -Name "$Name calendars" -App $principal.Id `
                -Role 'Application Calendars.Read' -CustomResourceScope "$Name rooms"
        }
    }
    Write-Host '  then: Test-ServicePrincipalAuthorization -Identity <its object id> -Resource <a room>'
}

$login = @{
    Global = 'https://login.microsoftonline.com'; USGov = 'https://login.microsoftonline.us'
    USGovDoD = 'https://login.microsoftonline.us'; China = 'https://login.chinacloudapi.cn'
}[$Environment]
Write-Host '* an administrator consents (Graph may answer 403 for up to two hours afterwards):'
Write-Host "    $login/$($context.TenantId)/adminconsent?client_id=$appId"
Write-Host '* then, with the credential where the exporter runs:'
Write-Host "    AZURE_TENANT_ID=$($context.TenantId) AZURE_CLIENT_ID=$appId teams-rooms-exporter check --wait 2h"
if (-not $Apply) { Write-Host '* nothing was changed: run again with -Apply' }
